"""Small frames, one behind the other, to be sent at once: in one piece of memory, which nobody sees before.

`frames_py.py` does the same in plain Python.
"""

from cpython.bytes cimport PyBytes_AS_STRING
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF
from libc.string cimport memcpy

from .mask_c cimport xor_into

cdef extern from "Python.h":
    PyObject* new_bytes "PyBytes_FromStringAndSize"(const char*, Py_ssize_t) except NULL
    char* start_of "PyBytes_AS_STRING"(PyObject*)
    int _PyBytes_Resize(PyObject**, Py_ssize_t) except -1

# A first frame gets what it needs; if it does not stay alone there is room for this much at least.
cdef Py_ssize_t ROOM = 1 << 10
# Memory grows by as much as there is, but not by more than this.
cdef Py_ssize_t STEP = 1 << 15


cdef class Frames:
    """Collect frames; `whole` is all of them, once."""

    def __dealloc__(self):
        Py_XDECREF(self.store)

    cpdef Py_ssize_t add(self, int first, bytes payload, bytes key) except -1:
        cdef Py_ssize_t length = len(payload)
        cdef Py_ssize_t head = (2 if length < 126 else 4) + (0 if key is None else 4)
        if length > 0xFFFF or (key is not None and len(key) != 4):
            raise ValueError(f"no small frame of {length} bytes with the key {key!r}")
        self.make_room(head + length)
        cdef unsigned char* to = <unsigned char*>start_of(self.store) + self.size
        cdef int masked = 0 if key is None else 0x80
        to[0] = first
        if length < 126:
            to[1] = masked | length
        else:
            to[1] = masked | 126
            to[2] = length >> 8
            to[3] = length & 0xFF
        if key is None:
            memcpy(to + head, PyBytes_AS_STRING(payload), length)
        else:
            memcpy(to + head - 4, PyBytes_AS_STRING(key), 4)
            xor_into(to + head, <unsigned char*>PyBytes_AS_STRING(payload), length, to + head - 4)
        self.size += head + length
        return head + length

    cdef int make_room(self, Py_ssize_t more) except -1:
        if self.store == NULL:
            self.store = new_bytes(NULL, more)
            self.room = more
        elif more > self.room - self.size:
            self.room = max(self.size + more, self.room + min(self.room, STEP), ROOM)
            _PyBytes_Resize(&self.store, self.room)
        return 0

    cpdef bytes whole(self):
        if self.store == NULL:
            return b""
        if self.room != self.size:
            _PyBytes_Resize(&self.store, self.size)
        cdef bytes result = <bytes>self.store
        Py_XDECREF(self.store)
        self.store = NULL
        self.size = self.room = 0
        return result


cpdef Frames new_frames():
    return Frames.__new__(Frames)
