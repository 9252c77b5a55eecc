# Runs PROGRAM, which must succeed and print OUTPUT.
execute_process(COMMAND "${PROGRAM}" OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)
if(NOT output STREQUAL OUTPUT)
  message(FATAL_ERROR "${PROGRAM} printed\n${output}and should have printed\n${OUTPUT}")
endif()
