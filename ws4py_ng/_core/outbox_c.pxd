import cython

from .frames_c cimport Frames, new_frames
from .mask_c cimport apply_mask
from .writer_c cimport frame_head


cdef class Outbox:
    cdef public list pieces
    cdef public Frames tail
    cdef public Py_ssize_t size
    cdef public Py_ssize_t largest
    cdef public Py_ssize_t frames
    cdef public bint is_plain
    cdef public object new_mask_key
    cdef public bint is_full
    cdef public bint is_fragmenting
    cdef public Py_ssize_t cork

    @cython.locals(key=bytes, added=Py_ssize_t)
    cpdef int put(self, int opcode, bytes payload) except -1
    @cython.locals(fresh=list, pieces=list, head=bytes)
    cpdef int _put_apart(self, int opcode, bytes payload, bytes key) except -1
    @cython.locals(small=bytes)
    cpdef add(self, list pieces, Py_ssize_t size, Py_ssize_t frames)
    @cython.locals(fresh=list, pieces=list, small=bytes)
    cpdef list take(self)
    cpdef list take_if(self, Py_ssize_t frames)
    cpdef bint _is_ready(self) except -1
