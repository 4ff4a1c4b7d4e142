from cpython.object cimport PyObject


cdef class Frames:
    cdef PyObject* store
    cdef Py_ssize_t room
    cdef Py_ssize_t size

    cdef int make_room(self, Py_ssize_t more) except -1
    cpdef Py_ssize_t add(self, int first, bytes payload, bytes key) except -1
    cpdef bytes whole(self)


cpdef Frames new_frames()
