from cpython.object cimport PyObject


cdef void xor_into(unsigned char* target, const unsigned char* source, Py_ssize_t size, const unsigned char* key) noexcept nogil
cpdef bytes apply_mask(data, bytes key)
cpdef bytes unmask_slice(bytes data, Py_ssize_t start, Py_ssize_t stop)
cpdef bytes small_frame(int first, bytes payload, bytes key)


cdef class Partial:
    cdef PyObject* store
    cdef Py_ssize_t room
    cdef Py_ssize_t size
    cdef Py_ssize_t taken
    cdef Py_ssize_t length
    cdef unsigned char key[4]
    cdef bint masked

    cpdef add(self, data, Py_ssize_t start, Py_ssize_t stop)
    cpdef bytes piece(self, Py_ssize_t start)
    cpdef bytes take(self)
    cpdef bytes whole(self)


cpdef Partial new_partial(Py_ssize_t length, bytes key)
