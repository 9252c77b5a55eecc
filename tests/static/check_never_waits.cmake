# Fails if LIBRARY calls a function of the CUDA runtime that waits for the device, or allocates, which waits as well: a launch
# could then not be captured in a graph.
cmake_minimum_required(VERSION 3.25)
execute_process(COMMAND "${NM}" --undefined-only "${LIBRARY}"
  OUTPUT_VARIABLE _symbols RESULT_VARIABLE _result ERROR_QUIET)
string(REGEX MATCHALL "cuda[A-Z][A-Za-z_0-9]*" _calls "${_symbols}")
list(REMOVE_DUPLICATES _calls)
if(_result OR NOT "cudaLaunchKernel" IN_LIST _calls)
  message(FATAL_ERROR "${NM} finds no launch in ${LIBRARY}")
endif()
set(_waiting ${_calls})
list(FILTER _waiting INCLUDE REGEX "Synchronize|^cuda(Malloc|Free|Memcpy|Memset|EventQuery|StreamQuery)")
list(FILTER _waiting EXCLUDE REGEX "^cuda(Memcpy|Memset)[A-Za-z0-9]*Async")
if(_waiting)
  message(FATAL_ERROR "The device code waits for the device: ${_waiting}")
endif()
list(LENGTH _calls _count)
message(STATUS "${_count} functions of the CUDA runtime, none of which waits")
