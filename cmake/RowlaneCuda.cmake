# rowlane_find_nvcc(): sets CMAKE_CUDA_COMPILER before the CUDA language is enabled.
# rowlane_choose_architectures(): sets ROWLANE_CUDA_ARCHITECTURES when the user has not.

# Every architecture that is supported; the last one also as PTX, for those that come later.
set(ROWLANE_ALL_CUDA_ARCHITECTURES 75-real 80-real 86-real 89-real 90-real 100)

# Searched: CMAKE_CUDA_COMPILER and CUDACXX (CMake's own), CUDAToolkit_ROOT, CUDA_HOME, PATH, the usual folder, and the
# toolkit packages in the project's .venv.
macro(rowlane_find_nvcc)
  if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
    file(GLOB _venv_toolkits "${PROJECT_SOURCE_DIR}/.venv/lib/python3*/site-packages/nvidia/cu*/bin")
    find_program(ROWLANE_NVCC nvcc
      HINTS "${CUDAToolkit_ROOT}/bin" "$ENV{CUDAToolkit_ROOT}/bin" "$ENV{CUDA_HOME}/bin"
      PATHS /usr/local/cuda/bin ${_venv_toolkits})
    mark_as_advanced(ROWLANE_NVCC)
    if(NOT ROWLANE_NVCC)
      message(FATAL_ERROR "No CUDA toolkit was found. Run `make setup`, name yours with "
        "-DCUDAToolkit_ROOT=<toolkit>, or build for the CPU alone with -DROWLANE_CUDA=OFF.")
    endif()
    set(CMAKE_CUDA_COMPILER "${ROWLANE_NVCC}" CACHE FILEPATH "")
  endif()
  # CMake 3.25 does not know how to ask nvcc for C++20.
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
  endif()
endmacro()

# The default is a short list, which compiles fast: A100 and H100, PTX for what is newer, and the GPUs of this machine.
macro(rowlane_choose_architectures)
  set(ROWLANE_CUDA_ARCHITECTURES "" CACHE STRING
    "As CMAKE_CUDA_ARCHITECTURES; `all` for every supported one; empty for A100, H100, PTX and the GPUs of this machine")
  if(ROWLANE_CUDA_ARCHITECTURES STREQUAL "all")
    set(CMAKE_CUDA_ARCHITECTURES ${ROWLANE_ALL_CUDA_ARCHITECTURES})
  elseif(ROWLANE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES ${ROWLANE_CUDA_ARCHITECTURES})
  else()
    set(CMAKE_CUDA_ARCHITECTURES 80-real 90)
    execute_process(COMMAND nvidia-smi --query-gpu=compute_cap --format=csv,noheader
      OUTPUT_VARIABLE _capabilities OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    string(REGEX MATCHALL "[0-9]+\\.[0-9]" _capabilities "${_capabilities}")
    foreach(_capability IN LISTS _capabilities)
      string(REPLACE "." "" _capability "${_capability}")
      if(NOT _capability STREQUAL "90")
        list(APPEND CMAKE_CUDA_ARCHITECTURES "${_capability}-real")
      endif()
    endforeach()
    list(REMOVE_DUPLICATES CMAKE_CUDA_ARCHITECTURES)
  endif()
endmacro()
