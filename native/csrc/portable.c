/* Any processor: plain C, vectors of two words as the compiler likes, constant-time AES without tables. */
#include "kernels.h"

#define TABLE kernels_portable
#define ISA_NAME "portable"
#define USABLE 1
#define CTR ctr_portable
#define PICK pick_portable
#define VECTOR_BYTES 16
#define TILE_BYTES 8 /* a scalar product beats three half-width vector ones */
#define TILE_ROWS 3
#define TILE_VECTORS 4

#include "table_impl.h"
