cpdef bytes apply_mask(data, bytes key)
cpdef bytes mask_slice(bytes data, Py_ssize_t start, Py_ssize_t stop, bytes key)
