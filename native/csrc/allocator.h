#ifndef MPC_ALLOCATOR_H
#define MPC_ALLOCATOR_H
/* Keep freed arrays for reuse (glibc); 1 where that took effect. */
int allocator_tune(void);
#endif
