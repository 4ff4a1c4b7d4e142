"""Masking (RFC 6455 5.3) in C: eight bytes at a time, which compilers turn into vectors.

`small_frame` is here because plain Python cannot write a frame into one piece of memory.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from "Python.h":
    PyObject* new_bytes "PyBytes_FromStringAndSize"(const char*, Py_ssize_t) except NULL
    char* start_of "PyBytes_AS_STRING"(PyObject*)
    int _PyBytes_Resize(PyObject**, Py_ssize_t) except -1

# So much of a payload has its memory at once, which the system gives as it is written to; more
# than twice of what has come is never taken beyond it.
cdef Py_ssize_t AT_ONCE = 1 << 20


cdef void xor_into(unsigned char* target, const unsigned char* source, Py_ssize_t size, const unsigned char* key) noexcept nogil:
    cdef Py_ssize_t i = 0
    cdef uint32_t key4
    cdef uint64_t key8, word
    memcpy(&key4, key, 4)
    key8 = (<uint64_t>key4 << 32) | key4
    while size - i >= 8:
        memcpy(&word, source + i, 8)
        word ^= key8
        memcpy(target + i, &word, 8)
        i += 8
    while i < size:
        target[i] = source[i] ^ key[i & 3]
        i += 1


cdef bytes masked(const unsigned char* source, Py_ssize_t size, bytes key):
    if len(key) != 4:
        raise ValueError(f"a masking key has 4 bytes, got {key!r}")
    cdef bytes result = PyBytes_FromStringAndSize(NULL, size)
    xor_into(<unsigned char*>PyBytes_AS_STRING(result), source, size, <unsigned char*>PyBytes_AS_STRING(key))
    return result


cpdef bytes unmask_slice(bytes data, Py_ssize_t start, Py_ssize_t stop):
    if start < 4 or start > stop or stop > len(data):
        raise ValueError(f"no masked slice {start}:{stop} of {len(data)} bytes")
    cdef const unsigned char* source = <unsigned char*>PyBytes_AS_STRING(data)
    cdef bytes result = PyBytes_FromStringAndSize(NULL, stop - start)
    xor_into(<unsigned char*>PyBytes_AS_STRING(result), source + start, stop - start, source + start - 4)
    return result


cpdef bytes apply_mask(data, bytes key):
    cdef Py_buffer view
    if type(data) is bytes:
        return masked(<unsigned char*>PyBytes_AS_STRING(data), len(<bytes>data), key)
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return masked(<unsigned char*>view.buf, view.len, key)
    finally:
        PyBuffer_Release(&view)


cpdef bytes small_frame(int first, bytes payload, bytes key):
    cdef Py_ssize_t size = len(payload)
    cdef Py_ssize_t head = 2 if key is None else 6
    if size > 125 or (key is not None and len(key) != 4):
        raise ValueError(f"no frame of {size} bytes with the key {key!r}")
    cdef bytes frame = PyBytes_FromStringAndSize(NULL, head + size)
    cdef unsigned char* to = <unsigned char*>PyBytes_AS_STRING(frame)
    to[0] = first
    if key is None:
        to[1] = size
        memcpy(to + 2, PyBytes_AS_STRING(payload), size)
    else:
        to[1] = 0x80 | size
        memcpy(to + 2, PyBytes_AS_STRING(key), 4)
        xor_into(to + 6, <unsigned char*>PyBytes_AS_STRING(payload), size, to + 2)
    return frame


cdef class Partial:
    """Collect a payload of ``length`` bytes as it comes, in its final place, which nobody sees before."""

    def __cinit__(self, Py_ssize_t length, bytes key):
        if length < 0 or len(key) not in (0, 4):
            raise ValueError(f"no payload of {length} bytes with the key {key!r}")
        self.length = length
        self.masked = len(key) == 4
        if self.masked:
            memcpy(self.key, PyBytes_AS_STRING(key), 4)
        self.room = min(length, AT_ONCE)
        self.store = new_bytes(NULL, self.room)

    def __dealloc__(self):
        Py_XDECREF(self.store)

    cpdef add(self, data, Py_ssize_t start, Py_ssize_t stop):
        cdef Py_buffer view
        cdef Py_ssize_t count = stop - start
        cdef Py_ssize_t held = self.size - self.taken
        cdef unsigned char key[4]
        cdef int i
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            if start < 0 or count < 0 or stop > view.len or count > self.length - self.size or self.store == NULL:
                raise ValueError(f"no slice {start}:{stop} of {view.len} bytes for {self.length - self.size}")
            if count > self.room - held:
                self.room = max(held + count, self.room + min(self.room, self.length - self.taken - self.room))
                _PyBytes_Resize(&self.store, self.room)
            if self.masked:
                for i in range(4):
                    key[i] = self.key[(self.size + i) & 3]
                xor_into(<unsigned char*>start_of(self.store) + held, <unsigned char*>view.buf + start, count, key)
            else:
                memcpy(start_of(self.store) + held, <char*>view.buf + start, count)
            self.size += count
        finally:
            PyBuffer_Release(&view)

    cpdef bytes piece(self, Py_ssize_t start):
        if start < self.taken or start > self.size or self.store == NULL:
            raise ValueError(f"no piece from {start} of {self.size} bytes")
        return PyBytes_FromStringAndSize(start_of(self.store) + start - self.taken, self.size - start)

    cpdef bytes take(self):
        cdef bytes data = self.piece(self.taken)
        self.taken = self.size
        return data

    cpdef bytes whole(self):
        if self.size != self.length or self.store == NULL:
            raise ValueError(f"{self.size} of {self.length} bytes have come")
        if self.room != self.size - self.taken:
            return self.take()
        cdef bytes result = <bytes>self.store
        Py_XDECREF(self.store)
        self.store = NULL
        return result

    def __len__(self):
        return self.size


cpdef Partial new_partial(Py_ssize_t length, bytes key):
    return Partial(length, key)
