"""Operations on many tensors at once: a GPU is told once what to do with all of them. One by one,
telling it took longer than doing it, since most are small. A CPU does one after the other.
"""

import torch

add = torch._foreach_add  # pyright: ignore[reportPrivateImportUsage]
add_ = torch._foreach_add_  # pyright: ignore[reportPrivateImportUsage]
addcdiv_ = torch._foreach_addcdiv_  # pyright: ignore[reportPrivateImportUsage]
addcmul_ = torch._foreach_addcmul_  # pyright: ignore[reportPrivateImportUsage]
copy_ = torch._foreach_copy_  # pyright: ignore[reportPrivateImportUsage]
div = torch._foreach_div  # pyright: ignore[reportPrivateImportUsage]
lerp = torch._foreach_lerp  # pyright: ignore[reportPrivateImportUsage]
lerp_ = torch._foreach_lerp_  # pyright: ignore[reportPrivateImportUsage]
mul_ = torch._foreach_mul_  # pyright: ignore[reportPrivateImportUsage]
norm = torch._foreach_norm  # pyright: ignore[reportPrivateImportUsage]
sign_ = torch._foreach_sign_  # pyright: ignore[reportPrivateImportUsage]
sqrt = torch._foreach_sqrt  # pyright: ignore[reportPrivateImportUsage]
sub_ = torch._foreach_sub_  # pyright: ignore[reportPrivateImportUsage]
