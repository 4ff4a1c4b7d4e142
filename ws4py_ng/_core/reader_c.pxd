import cython

from .mask_c cimport Partial, new_partial, unmask_slice


cdef class FrameReader:
    cdef public bint expect_mask
    cdef public int allowed_rsv
    cdef public unsigned long long max_payload
    cdef public unsigned long long slack
    cdef public Py_ssize_t max_fragments
    cdef public Py_ssize_t need
    cdef public bint at_eof
    cdef public bytes buffer
    cdef public Py_ssize_t position
    cdef public int first
    cdef public bytes payload
    cdef public Py_ssize_t fragments
    cdef public Partial partial
    cdef public Py_ssize_t missing

    @cython.locals(buffer=bytes, position=Py_ssize_t, have=Py_ssize_t, first="unsigned char", second="unsigned char",
                   length="unsigned long long", masked=bint, head=Py_ssize_t, control=int, start=Py_ssize_t,
                   stop=Py_ssize_t)
    cpdef int try_frame(self) except -1
    @cython.locals(opcode=int)
    cpdef int check_start(self, int first, int length, bint masked) except -1
    cpdef check_reserved(self, int rsv, int opcode)
    cpdef check_length(self, unsigned long long length, int head)
    cpdef check_budget(self, unsigned long long length, int first)
    cpdef count_fragment(self, bint fin)
    cpdef int begin_partial(self, Py_ssize_t start, Py_ssize_t length, bint masked) except -1
    @cython.locals(partial=Partial, position=Py_ssize_t, size=Py_ssize_t)
    cpdef int take_partial(self) except -1
    @cython.locals(buffer=bytes, position=Py_ssize_t, have=Py_ssize_t, second="unsigned char",
                   length="unsigned long long", head=Py_ssize_t, more=Py_ssize_t)
    cpdef bint has_frame(self) except -1
    @cython.locals(size=Py_ssize_t)
    cpdef feed(self, data)
    cpdef forget(self)
    cpdef Py_ssize_t unread(self)
