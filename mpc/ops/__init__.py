"""Operations of `mpc.tensor.SecretTensor`: elementwise, linear algebra, reductions, movement and nonlinear ones.

Every differentiable operation is an `mpc.autograd.Op`: its forward on `Value`s and its gradient stand side by side.
"""
