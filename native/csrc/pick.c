#include "kernels.h"

const kernels *const kernels_all[] = {
    &kernels_portable,
#if MPC_X86_VECTOR
    &kernels_avx2,
    &kernels_avx512,
#endif
    NULL,
};

const kernels *kernels_pick(const char *name) {
    const kernels *found = NULL;
    for (const kernels *const *each = kernels_all; *each; each++)
        if ((*each)->usable() && (!name || !strcmp(name, (*each)->name))) found = *each;
    return found;
}
