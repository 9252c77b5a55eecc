# Fails when PROGRAM loads a library of torch.
execute_process(COMMAND ldd "${PROGRAM}" OUTPUT_VARIABLE libraries COMMAND_ERROR_IS_FATAL ANY)
message(NOTICE "${libraries}")
if(NOT libraries MATCHES "libcudart")
  message(FATAL_ERROR "${PROGRAM} should load the CUDA runtime.")
endif()
if(libraries MATCHES "lib(torch|c10)[^\n]*")
  message(FATAL_ERROR "${PROGRAM} loads ${CMAKE_MATCH_0}")
endif()
