# rowlane_find_torch(with_cuda error): finds LibTorch and defines the target `torch`, ROWLANE_TORCH_VERSION and
# ROWLANE_TORCH_PREFIX; sets the variable `error` to a sentence when there is none.
#
# find_package(Torch) is called in a function, because it sets CUDA flags, standards and architectures in the scope
# of its caller; what we want of it are its targets, and those outlive the function. Its messages are shown with
# -DROWLANE_TORCH_VERBOSE=ON.
#
# Searched: CMAKE_PREFIX_PATH and Torch_DIR (also from the environment), then the project's own .venv.
#
# A LibTorch that was built with CUDA insists on a toolkit, even to be used on the CPU. Without CUDA its CPU half is
# therefore taken by itself.

function(_rowlane_torch_hint out)
  file(GLOB dirs "${PROJECT_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch/share/cmake/Torch")
  set(${out} ${dirs} PARENT_SCOPE)
endfunction()

function(_rowlane_torch_cpu_half prefix)
  add_library(torch INTERFACE IMPORTED GLOBAL)
  target_include_directories(torch SYSTEM INTERFACE
    "${prefix}/include" "${prefix}/include/torch/csrc/api/include")
  # Their CUDA runtime and profiler, which a wheel keeps in sibling folders, are found by their own rpath.
  target_link_libraries(torch INTERFACE
    "${prefix}/lib/libtorch_cpu.so" "${prefix}/lib/libc10.so")
  target_link_options(torch INTERFACE "LINKER:--allow-shlib-undefined")
endfunction()

# With the toolkit that CMake's own CUDA support has found.
function(_rowlane_torch_package config_dir)
  if(NOT ROWLANE_TORCH_VERBOSE)
    set(CMAKE_MESSAGE_LOG_LEVEL ERROR)
  endif()
  if(CMAKE_CUDA_COMPILER)
    get_filename_component(cuda_bin "${CMAKE_CUDA_COMPILER}" DIRECTORY)
  else()
    set(cuda_bin "${CUDAToolkit_BIN_DIR}")
  endif()
  if(cuda_bin AND NOT CUDA_TOOLKIT_ROOT_DIR)
    get_filename_component(cuda_root "${cuda_bin}" DIRECTORY)
    set(CUDA_TOOLKIT_ROOT_DIR "${cuda_root}" CACHE PATH "The toolkit that torch's FindCUDA takes")
    mark_as_advanced(CUDA_TOOLKIT_ROOT_DIR)
    # torch's FindCUDA looks for nvcc on PATH.
    set(ENV{PATH} "${cuda_bin}:$ENV{PATH}")
  endif()
  # Without it torch probes for a GPU; what it makes of the list ends with this function.
  set(TORCH_CUDA_ARCH_LIST "8.0")
  find_package(Torch REQUIRED QUIET PATHS "${config_dir}" NO_DEFAULT_PATH)
  # torch's own mkl target puts /lib/intel64 and Windows folders on every rpath.
  if(TARGET caffe2::mkl)
    set_property(TARGET caffe2::mkl PROPERTY INTERFACE_LINK_DIRECTORIES "")
  endif()
  # torch asks for C++17, and its headers should not answer to our warnings.
  get_target_property(include_dirs torch INTERFACE_INCLUDE_DIRECTORIES)
  set_property(TARGET torch PROPERTY INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${include_dirs}")
endfunction()

function(rowlane_find_torch with_cuda error)
  set(${error} "" PARENT_SCOPE)
  if(TARGET torch)
    get_target_property(include_dirs torch INTERFACE_INCLUDE_DIRECTORIES)
    list(GET include_dirs 0 include_dir)
    get_filename_component(prefix "${include_dir}" DIRECTORY)
  else()
    _rowlane_torch_hint(hint)
    find_path(ROWLANE_TORCH_CONFIG_DIR TorchConfig.cmake
      HINTS "${Torch_DIR}" "$ENV{Torch_DIR}"
      PATHS ${hint}
      PATH_SUFFIXES share/cmake/Torch Torch)
    mark_as_advanced(ROWLANE_TORCH_CONFIG_DIR)
    if(NOT ROWLANE_TORCH_CONFIG_DIR)
      set(${error} "LibTorch was not found. Name it with -DCMAKE_PREFIX_PATH=<libtorch> or \
-DTorch_DIR=<libtorch>/share/cmake/Torch." PARENT_SCOPE)
      return()
    endif()
    get_filename_component(prefix "${ROWLANE_TORCH_CONFIG_DIR}/../../.." ABSOLUTE)
    if(NOT with_cuda AND EXISTS "${prefix}/lib/libtorch_cuda.so")
      _rowlane_torch_cpu_half("${prefix}")
    else()
      _rowlane_torch_package("${ROWLANE_TORCH_CONFIG_DIR}")
    endif()
  endif()

  set(version "")
  file(STRINGS "${prefix}/include/torch/headeronly/version.h" lines
    REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) [0-9]+")
  foreach(line IN LISTS lines)
    string(REGEX MATCH "[0-9]+$" number "${line}")
    list(APPEND version "${number}")
  endforeach()
  list(JOIN version "." version)
  set(ROWLANE_TORCH_VERSION "${version}" CACHE INTERNAL "")
  set(ROWLANE_TORCH_PREFIX "${prefix}" CACHE INTERNAL "")
endfunction()
