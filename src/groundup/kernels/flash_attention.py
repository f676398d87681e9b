"""The kernels of `kernels.attention`: FlashAttention-2 (Dao 2023, algorithms 1 and 2) in Triton.

Query i stands at the position i + offset of the keys. Tiles of M queries meet tiles of N keys, only
those of which some pair is visible; and of these only the ones at a border, of the window or of the
diagonal, are compared pair by pair. Logits are to the base 2, whose powers a GPU computes.

Q, DQ, OUT, DO: [B, H, T, WIDTH]; K, V, DK, DV: [B, H / GROUP, S, WIDTH]; each with the strides of
its first three axes. LSE, DELTA: float32 [B, H, T]. Q_DOCUMENTS: int32 [B, T]; K_DOCUMENTS: [B, S].
BLOCK is the power of two that holds WIDTH.
"""

from groundup.kernels.launch import jit, tl

_LOG2_E = tl.constexpr(1.4426950408889634)
_LN_2 = tl.constexpr(0.6931471805599453)


@jit
def forward(
    Q, K, V, OUT, LSE, Q_DOCUMENTS, K_DOCUMENTS, q_strides, k_strides, v_strides, o_strides,
    scale, H, T, S, offset, window,
    GROUP: tl.constexpr, WIDTH: tl.constexpr, BLOCK: tl.constexpr, M: tl.constexpr, N: tl.constexpr,
    WINDOWED: tl.constexpr, DOCUMENTS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """A program has a tile of queries of one head. The last tiles, which see most, go first."""
    first = (tl.num_programs(0) - 1 - tl.program_id(0)) * M
    b, h = (tl.program_id(1) // H).to(tl.int64), tl.program_id(1) % H
    row, column = first + tl.arange(0, M), tl.arange(0, BLOCK)
    q = _load(Q, q_strides, b, h, first, T, column, M, WIDTH, BLOCK, False)
    read = tl.zeros((M, BLOCK), tl.float32)
    total = tl.zeros((M,), tl.float32)
    largest = tl.full((M,), float("-inf"), tl.float32)
    factor = scale * _LOG2_E  # positive, so that the largest product is the largest logit
    borders = _keys_of(first, tl.minimum(first + M, T), S, offset, window, N, WINDOWED)
    for part in tl.static_range(0 if WINDOWED else 1, 3):
        for start in range(borders[part], borders[part + 1], N):
            key = start + tl.arange(0, N)
            k = _load(K, k_strides, b, h // GROUP, start, S, column, N, WIDTH, BLOCK, part == 1)
            products = tl.dot(q, tl.trans(k), input_precision=PRECISION)
            if part != 1 or DOCUMENTS:
                seen = _sees(row[:, None] + offset, key[None, :], S, window, WINDOWED)
                if DOCUMENTS:
                    own = tl.load(Q_DOCUMENTS + b * T + row, row < T, other=0)
                    others = tl.load(K_DOCUMENTS + b * S + key, key < S, other=0)
                    seen &= own[:, None] == others[None, :]
                products = tl.where(seen, products, float("-inf"))
            larger = tl.maximum(largest, tl.max(products, 1) * factor)
            base = tl.where(larger == float("-inf"), 0.0, larger)  # of rows that saw nothing yet
            p = tl.exp2(products * factor - base[:, None])
            shrink = tl.exp2(largest - base)
            total = total * shrink + tl.sum(p, 1)
            v = _load(V, v_strides, b, h // GROUP, start, S, column, N, WIDTH, BLOCK, part == 1)
            read = tl.dot(p.to(v.dtype), v, read * shrink[:, None], input_precision=PRECISION)
            largest = larger
    total = tl.where(total == 0, 1.0, total)  # of rows that saw nothing: they read 0, and lse is −∞
    tl.store(LSE + (b * H + h) * T + row, (largest + tl.log2(total)) * _LN_2, row < T)
    _store(OUT, o_strides, b, h, row, T, column, WIDTH, read / total[:, None])


@jit
def delta(
    OUT, DO, DELTA, o_strides, do_strides, H, T,
    WIDTH: tl.constexpr, BLOCK: tl.constexpr, M: tl.constexpr,
):  # fmt: skip
    """δ = Σ o · do of each query: what its softmax's gradients have in common."""
    b, h = (tl.program_id(1) // H).to(tl.int64), tl.program_id(1) % H
    first = tl.program_id(0) * M
    row, column = first + tl.arange(0, M), tl.arange(0, BLOCK)
    o = _load(OUT, o_strides, b, h, first, T, column, M, WIDTH, BLOCK, False).to(tl.float32)
    do = _load(DO, do_strides, b, h, first, T, column, M, WIDTH, BLOCK, False).to(tl.float32)
    tl.store(DELTA + (b * H + h) * T + row, tl.sum(o * do, 1), row < T)


@jit
def backward_keys(
    Q, K, V, DO, LSE, DELTA, DK, DV, Q_DOCUMENTS, K_DOCUMENTS,
    q_strides, k_strides, v_strides, do_strides, dk_strides, dv_strides,
    scale, H, T, S, offset, window,
    GROUP: tl.constexpr, WIDTH: tl.constexpr, BLOCK: tl.constexpr, M: tl.constexpr, N: tl.constexpr,
    WINDOWED: tl.constexpr, DOCUMENTS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """A program has a tile of keys, and sums over the queries of all heads that share them. Tiles
    of the square are [N, M] here, so that none need be transposed before a product."""
    first = tl.program_id(0) * N
    kv_heads = H // GROUP
    b, kv = (tl.program_id(1) // kv_heads).to(tl.int64), tl.program_id(1) % kv_heads
    key, column = first + tl.arange(0, N), tl.arange(0, BLOCK)
    k = _load(K, k_strides, b, kv, first, S, column, N, WIDTH, BLOCK, False)
    v = _load(V, v_strides, b, kv, first, S, column, N, WIDTH, BLOCK, False)
    dk = tl.zeros((N, BLOCK), tl.float32)
    dv = tl.zeros((N, BLOCK), tl.float32)
    borders = _queries_of(first, tl.minimum(first + N, S), T, offset, window, M, WINDOWED)
    for h in range(kv * GROUP, (kv + 1) * GROUP):
        for part in tl.static_range(3 if WINDOWED else 2):  # pyright: ignore[reportGeneralTypeIssues]
            for start in range(borders[part], borders[part + 1], M):
                row = start + tl.arange(0, M)
                q = _load(Q, q_strides, b, h, start, T, column, M, WIDTH, BLOCK, False)
                products = tl.dot(k, tl.trans(q), input_precision=PRECISION)
                if part != 1 or DOCUMENTS:
                    seen = _sees(row[None, :] + offset, key[:, None], S, window, WINDOWED)
                    if DOCUMENTS:
                        own = tl.load(Q_DOCUMENTS + b * T + row, row < T, other=0)
                        others = tl.load(K_DOCUMENTS + b * S + key, key < S, other=0)
                        seen &= own[None, :] == others[:, None]
                    products = tl.where(seen, products, float("-inf"))
                log_sums = _log_sums(LSE, b * H + h, row, T)
                p = tl.exp2(products * (scale * _LOG2_E) - log_sums[None, :])
                do = _load(DO, do_strides, b, h, start, T, column, M, WIDTH, BLOCK, False)
                dv += tl.dot(p.to(do.dtype), do, input_precision=PRECISION)
                dp = tl.dot(v, tl.trans(do), input_precision=PRECISION)
                common = tl.load(DELTA + (b * H + h) * T + row, row < T, other=0.0)
                dlogits = (p * (dp - common[None, :])).to(q.dtype)
                dk += tl.dot(dlogits, q, input_precision=PRECISION)
    _store(DK, dk_strides, b, kv, key, S, column, WIDTH, dk * scale)
    _store(DV, dv_strides, b, kv, key, S, column, WIDTH, dv)


@jit
def backward_queries(
    Q, K, V, DO, LSE, DELTA, DQ, Q_DOCUMENTS, K_DOCUMENTS,
    q_strides, k_strides, v_strides, do_strides, dq_strides, scale, H, T, S, offset, window,
    GROUP: tl.constexpr, WIDTH: tl.constexpr, BLOCK: tl.constexpr, M: tl.constexpr, N: tl.constexpr,
    WINDOWED: tl.constexpr, DOCUMENTS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """A program has a tile of queries of one head, as in `forward`."""
    first = (tl.num_programs(0) - 1 - tl.program_id(0)) * M
    b, h = (tl.program_id(1) // H).to(tl.int64), tl.program_id(1) % H
    row, column = first + tl.arange(0, M), tl.arange(0, BLOCK)
    q = _load(Q, q_strides, b, h, first, T, column, M, WIDTH, BLOCK, False)
    do = _load(DO, do_strides, b, h, first, T, column, M, WIDTH, BLOCK, False)
    log_sums = _log_sums(LSE, b * H + h, row, T)
    common = tl.load(DELTA + (b * H + h) * T + row, row < T, other=0.0)
    dq = tl.zeros((M, BLOCK), tl.float32)
    borders = _keys_of(first, tl.minimum(first + M, T), S, offset, window, N, WINDOWED)
    for part in tl.static_range(0 if WINDOWED else 1, 3):
        for start in range(borders[part], borders[part + 1], N):
            key = start + tl.arange(0, N)
            k = _load(K, k_strides, b, h // GROUP, start, S, column, N, WIDTH, BLOCK, part == 1)
            products = tl.dot(q, tl.trans(k), input_precision=PRECISION)
            if part != 1 or DOCUMENTS:
                seen = _sees(row[:, None] + offset, key[None, :], S, window, WINDOWED)
                if DOCUMENTS:
                    own = tl.load(Q_DOCUMENTS + b * T + row, row < T, other=0)
                    others = tl.load(K_DOCUMENTS + b * S + key, key < S, other=0)
                    seen &= own[:, None] == others[None, :]
                products = tl.where(seen, products, float("-inf"))
            p = tl.exp2(products * (scale * _LOG2_E) - log_sums[:, None])
            v = _load(V, v_strides, b, h // GROUP, start, S, column, N, WIDTH, BLOCK, part == 1)
            dp = tl.dot(do, tl.trans(v), input_precision=PRECISION)
            dlogits = (p * (dp - common[:, None])).to(k.dtype)
            dq += tl.dot(dlogits, k, input_precision=PRECISION)
    _store(DQ, dq_strides, b, h, row, T, column, WIDTH, dq * scale)


@jit
def _keys_of(first, end, S, offset, window, N: tl.constexpr, WINDOWED: tl.constexpr):
    """Four borders of the keys that the queries from `first` to `end` see: between the first two
    stand tiles of which they may see a part, between the next all, between the last a part."""
    stop = tl.minimum(tl.maximum(end + offset, 0), S)
    all_stop = tl.minimum(tl.maximum(first + offset + 1, 0), S) // N * N
    start, all_start = 0, 0
    if WINDOWED:
        start = tl.maximum(first + offset + 1 - window, 0) // N * N
        all_start = tl.maximum(end + offset - window + N - 1, 0) // N * N
    all_start = tl.minimum(all_start, tl.maximum(stop, start))
    return start, all_start, tl.maximum(all_stop, all_start), stop


@jit
def _queries_of(first, end, T, offset, window, M: tl.constexpr, WINDOWED: tl.constexpr):
    """The like of the queries that see the keys from `first` to `end`."""
    start = tl.maximum(first - offset, 0) // M * M
    all_start = tl.maximum(end - 1 - offset + M - 1, 0) // M * M
    stop, all_stop = T, T
    if WINDOWED:
        stop = tl.minimum(tl.maximum(end - 1 - offset + window, 0), T)
        all_stop = tl.minimum(tl.maximum(first - offset + window, 0) // M * M, stop)
    all_start = tl.minimum(all_start, tl.maximum(stop, start))
    return start, all_start, tl.maximum(all_stop, all_start), stop


@jit
def _sees(position, key, S, window, WINDOWED: tl.constexpr):
    seen = (position >= key) & (key < S)
    if WINDOWED:
        seen &= position - key < window
    return seen


@jit
def _log_sums(LSE, head, row, T):
    """To the base 2; 0 for queries that see nothing, whose logits are all −∞."""
    lse = tl.load(LSE + head * T + row, row < T, other=0.0)
    return tl.where(lse == float("-inf"), 0.0, lse * _LOG2_E)


@jit
def _load(
    X, strides, b, h, first, rows, column,
    SIZE: tl.constexpr, WIDTH: tl.constexpr, BLOCK: tl.constexpr, WHOLE: tl.constexpr,
):  # fmt: skip
    """Rows from `first` on. WHOLE: all are there. What is masked for no reason takes longer, and so
    do offsets of 64 bits: only where a tile begins is told by one."""
    begin = X + b * strides[0] + tl.cast(h, tl.int64) * strides[1]
    begin += tl.cast(first, tl.int64) * strides[2]
    row = tl.arange(0, SIZE)
    there = begin + row[:, None] * strides[2] + column[None, :]
    if WHOLE and WIDTH == BLOCK:
        x = tl.load(there)
    elif WHOLE:
        x = tl.load(there, (column < WIDTH)[None, :], other=0.0)
    elif WIDTH == BLOCK:
        x = tl.load(there, (first + row < rows)[:, None], other=0.0)
    else:
        inside = (first + row < rows)[:, None] & (column < WIDTH)[None, :]
        x = tl.load(there, inside, other=0.0)
    return x


@jit
def _store(X, strides, b, h, row, rows, column, WIDTH: tl.constexpr, x):
    place = b * strides[0] + tl.cast(h, tl.int64) * strides[1]
    place += row.to(tl.int64)[:, None] * strides[2]
    inside = (row < rows)[:, None] & (column < WIDTH)[None, :]
    tl.store(X + place + column[None, :], x.to(X.dtype.element_ty), inside)
