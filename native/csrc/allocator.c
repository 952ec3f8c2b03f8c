/* Large arrays come and go with every operation; by default glibc maps and unmaps each, one page fault per 4 KB. */
#include "allocator.h"

#include <stdlib.h>

#if defined(__GLIBC__)
#include <malloc.h>

int allocator_tune(void) {
    enum { MB = 1 << 20 };
    return mallopt(M_MMAP_THRESHOLD, 32 * MB) /* the most that glibc accepts */
        && mallopt(M_TRIM_THRESHOLD, 2047 * MB) && mallopt(M_TOP_PAD, 16 * MB);
}
#else
int allocator_tune(void) { return 0; }
#endif
