from .mask_c cimport apply_mask, small_frame


cpdef bytes frame_head(int first, unsigned long long length, bytes key)
cpdef bytes encode_frame(int first, payload, bytes key)
