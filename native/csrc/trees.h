/* Plane counts and orders of the comparison (protocols.md section 6); native/twin/compare.py derives the same lists. */
#ifndef MPC_TREES_H
#define MPC_TREES_H
#include "kernels.h"

enum { TH_PLANES = 233, LTEQ_PLANES = 32, LEVEL1_PLANES = 7, CHUNKS = 16, R63 = 232 };
enum { BYTE_CHUNKS = 8, TABLE8_WORDS = 30, LTEQ8_PLANES = 16 }; /* TABLE8_WORDS: per lane */
enum { EQ3, EQ2, EQ1, LT2, LT1, LT0, EQ0 }; /* a merge's inputs in their fixed order */
enum { MONO_LT = 15, MONO_LT_EQ = 22, MONO_AND = 11, MAX_MONOMIALS = 81, MAX_INPUTS = 27 };

/* Subsets of the inputs (bit i = input i) that the products need, ascending: LT's, then those with eq0. */
static const uint8_t LT_MONOMIALS[MONO_LT_EQ] = {3,  5,  6,  7,  9,  17, 18, 19, 33, 34, 35,
                                                 36, 37, 38, 39, 65, 66, 67, 68, 69, 70, 71};
static const uint8_t AND_MONOMIALS[MONO_AND] = {3, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15};

/* Where the inputs of a level stand in the tensor they come from. */
#define NODE(at) 16 + at + 3, 16 + at + 2, 16 + at + 1, at + 2, at + 1, at
static const uint8_t TREE1_INPUTS[27] = {NODE(0), NODE(4), 20, NODE(8), 24, NODE(12), 28};
static const uint8_t TREE2_INPUTS[6] = {6, 5, 4, 2, 1, 0};
static const uint8_t EQUAL1_INPUTS[16] = {16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
static const uint8_t EQUAL2_INPUTS[4] = {0, 1, 2, 3};
static const uint8_t TREE8_INPUTS[14] = {15, 14, 13, 12, 11, 10, 9, 0, 1, 2, 3, 4, 5, 6}; /* eq_7 .. eq_1, lt_0 .. lt_6 */
static const uint8_t EQUAL8_INPUTS[8] = {15, 14, 13, 12, 11, 10, 9, 8};

typedef struct {
    int planes_in;         /* of the tensor the inputs come from */
    int inputs, monomials; /* planes opened, planes dealt */
    int planes_out;
    const uint8_t *from; /* inputs' places in it */
    int groups;
    struct {
        int inputs, monomials;
    } group[4];
    const uint8_t *masks;
} level;

static const level LEVELS[KINDS] = {
    [TREE1] = {LTEQ_PLANES, 27, 81, LEVEL1_PLANES, TREE1_INPUTS, 4,
               {{6, MONO_LT}, {7, MONO_LT_EQ}, {7, MONO_LT_EQ}, {7, MONO_LT_EQ}}, LT_MONOMIALS},
    [TREE2] = {LEVEL1_PLANES, 6, 15, 1, TREE2_INPUTS, 1, {{6, MONO_LT}}, LT_MONOMIALS},
    [EQUAL1] = {LTEQ_PLANES, 16, 44, 4, EQUAL1_INPUTS, 4,
                {{4, MONO_AND}, {4, MONO_AND}, {4, MONO_AND}, {4, MONO_AND}}, AND_MONOMIALS},
    [EQUAL2] = {4, 4, 11, 1, EQUAL2_INPUTS, 1, {{4, MONO_AND}}, AND_MONOMIALS},
    [TREE8] = {.planes_in = LTEQ8_PLANES, .inputs = 14, .monomials = 367, .planes_out = 1, .from = TREE8_INPUTS},
    [EQUAL8] = {.planes_in = LTEQ8_PLANES, .inputs = 8, .monomials = 247, .planes_out = 1, .from = EQUAL8_INPUTS},
};
#endif
