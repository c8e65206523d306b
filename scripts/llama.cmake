# llama-cpp-python turns this on, for programs that we do not make: two thirds of the compile.
set(LLAMA_BUILD_COMMON OFF)
