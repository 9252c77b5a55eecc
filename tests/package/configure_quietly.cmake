# cmake -P configure_quietly.cmake -- ARGUMENT...: runs cmake with these, which must succeed without a warning and
# without a word from torch's own CMake files.
set(arguments "")
set(is_argument FALSE)
math(EXPR last "${CMAKE_ARGC} - 1")
foreach(i RANGE ${last})
  if(is_argument)
    list(APPEND arguments "${CMAKE_ARGV${i}}")
  elseif(CMAKE_ARGV${i} STREQUAL "--")
    set(is_argument TRUE)
  endif()
endforeach()

execute_process(COMMAND "${CMAKE_COMMAND}" ${arguments}
  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
message(NOTICE "${output}")
if(NOT result EQUAL 0)
  message(FATAL_ERROR "The project could not be configured.")
endif()
if(output MATCHES "[^\n]*([Ww]arning|Caffe2|PyTorch)[^\n]*")
  message(FATAL_ERROR "find_package(rowlane) is not quiet: ${CMAKE_MATCH_0}")
endif()
