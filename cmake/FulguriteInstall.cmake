# SPDX-License-Identifier: MIT
# Install rules and the package config: find_package(Fulgurite [COMPONENTS core]).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(_package_dir "${CMAKE_INSTALL_DATADIR}/cmake/Fulgurite")  # header-only: independent of the architecture

install(TARGETS fulgurite_core EXPORT FulguriteCoreTargets FILE_SET HEADERS)
install(EXPORT FulguriteCoreTargets NAMESPACE Fulgurite:: DESTINATION "${_package_dir}")
if(TARGET fulgurite)
  install(TARGETS fulgurite EXPORT FulguriteTargets FILE_SET HEADERS FILE_SET cuda_headers)
  install(EXPORT FulguriteTargets NAMESPACE Fulgurite:: DESTINATION "${_package_dir}")
  install(FILES cmake/FulguriteTorch.cmake DESTINATION "${_package_dir}")
endif()

configure_package_config_file(cmake/FulguriteConfig.cmake.in FulguriteConfig.cmake
  INSTALL_DESTINATION "${_package_dir}" NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(FulguriteConfigVersion.cmake
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES
  "${CMAKE_CURRENT_BINARY_DIR}/FulguriteConfig.cmake"
  "${CMAKE_CURRENT_BINARY_DIR}/FulguriteConfigVersion.cmake"
  DESTINATION "${_package_dir}")
