# cmake --install: headers, libraries, and the package that find_package(rowlane) finds.
include(CMakePackageConfigHelpers)

set(_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/rowlane")
install(DIRECTORY include/rowlane DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(TARGETS rowlane rowlane_linked EXPORT rowlaneTargets)
install(TARGETS rowlane_aten)
if(SKBUILD)
  # The Python package lies beside torch's and the CUDA runtime's.
  set_target_properties(rowlane rowlane_aten PROPERTIES
    INSTALL_RPATH "$ORIGIN;$ORIGIN/../../torch/lib;$ORIGIN/../../nvidia/cu13/lib"
    INSTALL_RPATH_USE_LINK_PATH OFF
    VERSION "" SOVERSION "")
  install(TARGETS rowlane rowlane_aten LIBRARY DESTINATION lib COMPONENT python)
endif()
install(EXPORT rowlaneTargets NAMESPACE rowlane:: DESTINATION "${_package_dir}")
if(ROWLANE_CUDA)
  # Targets of their own, so that a project without torch can load them alone.
  install(TARGETS rowlane_kernels EXPORT rowlaneKernelsTargets)
  install(EXPORT rowlaneKernelsTargets NAMESPACE rowlane:: DESTINATION "${_package_dir}")
endif()

string(REGEX MATCH "^[0-9]+\\.[0-9]+" ROWLANE_TORCH_ABI_VERSION "${ROWLANE_TORCH_VERSION}")
configure_package_config_file(cmake/rowlaneConfig.cmake.in
  "${PROJECT_BINARY_DIR}/rowlaneConfig.cmake" INSTALL_DESTINATION "${_package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/rowlaneConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/rowlaneConfig.cmake"
  "${PROJECT_BINARY_DIR}/rowlaneConfigVersion.cmake"
  cmake/RowlaneTorch.cmake
  DESTINATION "${_package_dir}")
