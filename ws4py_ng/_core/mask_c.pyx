"""Masking (RFC 6455 5.3) in C: eight bytes at a time, which compilers turn into vectors."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy


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


cpdef bytes mask_slice(bytes data, Py_ssize_t start, Py_ssize_t stop, bytes key):
    stop = min(stop, <Py_ssize_t>len(data))
    if start < 0 or start > stop:
        raise ValueError(f"no slice {start}:{stop} of {len(data)} bytes")
    return masked(<unsigned char*>PyBytes_AS_STRING(data) + start, stop - start, key)


cpdef bytes apply_mask(data, bytes key):
    cdef Py_buffer view
    if type(data) is bytes:
        return masked(<unsigned char*>PyBytes_AS_STRING(data), len(<bytes>data), key)
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return masked(<unsigned char*>view.buf, view.len, key)
    finally:
        PyBuffer_Release(&view)
