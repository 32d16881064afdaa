/* lanes.h in plain C, which compilers turn into whatever vectors there are. */

/* What is an array in memory gains nothing, and takes compilers a minute. */
#define UNROLL

typedef struct {
    uint8_t bytes[64];
} lanes_i;
typedef struct {
    float v[NUM_LANES];
} lanes_f;

#define EACH_BYTE(expression)                      \
    for (int i = 0; i < 64; i++) v.bytes[i] = (uint8_t)(expression); \
    return v
#define EACH_LANE(expression)                            \
    lanes_f out;                                         \
    for (int i = 0; i < NUM_LANES; i++) out.v[i] = (expression); \
    return out

INLINE lanes_i load_bytes(const void *from) {
    lanes_i v;
    memcpy(&v, from, 64);
    return v;
}
INLINE void store_bytes(void *to, lanes_i v) { memcpy(to, &v, 64); }
INLINE int32_t lane(lanes_i v, int i) {
    int32_t value;
    memcpy(&value, v.bytes + 4 * i, 4);
    return value;
}
INLINE lanes_i each_4_bytes(const void *from) {
    lanes_i v;
    for (int i = 0; i < NUM_LANES; i++) memcpy(v.bytes + 4 * i, from, 4);
    return v;
}
INLINE lanes_i each_i32(int32_t value) { return each_4_bytes(&value); }
INLINE lanes_i and_bytes(lanes_i v, uint8_t mask) { EACH_BYTE(v.bytes[i] & mask); }
INLINE lanes_i flip_bytes(lanes_i v, uint8_t mask) { EACH_BYTE(v.bytes[i] ^ mask); }
INLINE lanes_i or_masked(lanes_i v, lanes_i b, uint8_t mask) {
    EACH_BYTE(v.bytes[i] | (b.bytes[i] & mask));
}
INLINE lanes_i subtract_bytes(lanes_i v, uint8_t value) { EACH_BYTE(v.bytes[i] - value); }
INLINE lanes_i shift_right(lanes_i v, int bits) { EACH_BYTE(v.bytes[i] >> bits); }
INLINE lanes_i shift_left(lanes_i v, int bits) { EACH_BYTE(v.bytes[i] << bits); }

INLINE lanes_i dot4(lanes_i sum, lanes_i a, lanes_i b) {
    int32_t sums[NUM_LANES];
    memcpy(sums, &sum, 64);
    for (int i = 0; i < NUM_LANES; i++)
        for (int k = 4 * i; k < 4 * i + 4; k++) sums[i] += a.bytes[k] * (int8_t)b.bytes[k];
    memcpy(&sum, sums, 64);
    return sum;
}
INLINE lanes_i dot4_biased(lanes_i sum, lanes_i a, lanes_i b) { return dot4(sum, a, b); }
INLINE lanes_i biased_start(int32_t value) { return each_i32(value); }

INLINE float f16_to_f32(uint16_t half) {
    uint32_t magnitude = half & 0x7FFF, bits;
    float value;
    if (magnitude >= 0x7C00) {
        bits = (magnitude << 13) + 0x70000000; /* infinity and NaN: the largest exponent */
    } else if (magnitude >= 0x400) {
        bits = (magnitude << 13) + 0x38000000;
    } else {
        value = (float)magnitude * 0x1p-24f;
        memcpy(&bits, &value, 4);
    }
    bits |= (uint32_t)(half & 0x8000) << 16;
    memcpy(&value, &bits, 4);
    return value;
}
INLINE uint16_t load_u16(const void *from, int at) {
    uint16_t value;
    memcpy(&value, (const uint8_t *)from + 2 * at, 2);
    return value;
}
INLINE lanes_f each_f32(float value) { EACH_LANE(value); }
INLINE lanes_f to_f32(lanes_i v) { EACH_LANE((float)lane(v, i)); }
INLINE lanes_f load_u8(const uint8_t *from) { EACH_LANE((float)from[i]); }
INLINE lanes_f load_i8(const uint8_t *from) { EACH_LANE((float)(int8_t)from[i]); }
INLINE lanes_f load_f16(const void *from) { EACH_LANE(f16_to_f32(load_u16(from, i))); }
INLINE lanes_f load_bf16(const uint16_t *from) { EACH_LANE(bf16_to_f32(from[i])); }
INLINE lanes_f load_f32(const float *from) { EACH_LANE(from[i]); }
INLINE void store_f32(float *to, lanes_f v) { memcpy(to, &v, 64); }
INLINE void store_bf16(uint16_t *to, lanes_f v) {
    for (int i = 0; i < NUM_LANES; i++) to[i] = f32_to_bf16(v.v[i]);
}

INLINE lanes_f multiply(lanes_f a, lanes_f b) { EACH_LANE(a.v[i] * b.v[i]); }
INLINE lanes_f add(lanes_f a, lanes_f b) { EACH_LANE(a.v[i] + b.v[i]); }
INLINE lanes_f subtract(lanes_f a, lanes_f b) { EACH_LANE(a.v[i] - b.v[i]); }
/* Rounded twice: where there is no such instruction, the C library's fma is far too slow. */
INLINE lanes_f multiply_add(lanes_f a, lanes_f b, lanes_f c) { EACH_LANE(a.v[i] * b.v[i] + c.v[i]); }
INLINE lanes_f multiply_subtract(lanes_f a, lanes_f b, lanes_f c) {
    EACH_LANE(c.v[i] - a.v[i] * b.v[i]);
}

INLINE float largest_magnitude(lanes_f a, lanes_f b) {
    float largest = 0;
    for (int i = 0; i < NUM_LANES; i++) {
        largest = fabsf(a.v[i]) > largest ? fabsf(a.v[i]) : largest;
        largest = fabsf(b.v[i]) > largest ? fabsf(b.v[i]) : largest;
    }
    return largest;
}
INLINE int32_t store_rounded(int8_t *to, lanes_f v) {
    int32_t sum = 0;
    for (int i = 0; i < NUM_LANES; i++) {
        float value = v.v[i] > 127 ? 127 : v.v[i] < -127 ? -127 : v.v[i];
        to[i] = value == value ? (int8_t)lrintf(value) : 0;
        sum += to[i];
    }
    return sum;
}

/* Chunks c of 4 bytes for each lane, to 32 neighbouring bytes of each. */
INLINE void store_rows(int8_t (*rows)[32], const lanes_i *chunks) {
    for (int c = 0; c < 8; c++) {
        uint8_t bytes[64];
        store_bytes(bytes, chunks[c]);
        for (int row = 0; row < NUM_LANES; row++) memcpy(rows[row] + 4 * c, bytes + 4 * row, 4);
    }
}
