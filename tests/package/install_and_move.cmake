# Installs BUILD_DIR into STAGING_DIR and moves that to INSTALLED_DIR, where everything must work just as well.
file(REMOVE_RECURSE "${STAGING_DIR}" "${INSTALLED_DIR}")
execute_process(COMMAND "${CMAKE_COMMAND}" --install "${BUILD_DIR}" --prefix "${STAGING_DIR}"
  COMMAND_ERROR_IS_FATAL ANY)
file(RENAME "${STAGING_DIR}" "${INSTALLED_DIR}")
