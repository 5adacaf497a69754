# What `cmake --install` puts where (GNUInstallDirs; any prefix, DESTDIR), and the Debian packages.
#
#   bin/                        fleet-server, fleet-worker, fleet-rolling-restart; fleet-migrate, a link to migrations/apply
#   share/agent-fleet/          migrations/, Caddyfile, fleet.caddy, prometheus/, grafana/, fleet.yaml (the template),
#                               systemd/ (an example of a drop-in)
#   share/doc/agent-fleet-common/, share/man/
#   lib/systemd/system/, lib/sysusers.d/    units that name the programs of this prefix
#
# The configuration is read from /etc/agent-fleet/fleet.yaml whatever the prefix. Only prefix /usr puts the template there, and
# only where no file is.
include(GNUInstallDirs)

install(TARGETS fleet-server RUNTIME COMPONENT server)
install(TARGETS fleet-worker RUNTIME COMPONENT worker)

set(FLEET_DATA ${CMAKE_INSTALL_DATADIR}/agent-fleet)
install(DIRECTORY migrations/ DESTINATION ${FLEET_DATA}/migrations COMPONENT common
        FILES_MATCHING PATTERN "*.sql" PATTERN "README.md")
install(PROGRAMS migrations/apply DESTINATION ${FLEET_DATA}/migrations COMPONENT common)
file(RELATIVE_PATH MIGRATE_LINK /${CMAKE_INSTALL_BINDIR} /${FLEET_DATA}/migrations/apply)
file(CREATE_LINK ${MIGRATE_LINK} ${CMAKE_BINARY_DIR}/fleet-migrate SYMBOLIC)
install(FILES ${CMAKE_BINARY_DIR}/fleet-migrate DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT common)
install(PROGRAMS deploy/rolling-restart DESTINATION ${CMAKE_INSTALL_BINDIR} RENAME fleet-rolling-restart COMPONENT common)
install(FILES deploy/Caddyfile deploy/fleet.caddy deploy/fleet.yaml DESTINATION ${FLEET_DATA} COMPONENT common)
install(DIRECTORY deploy/prometheus deploy/grafana DESTINATION ${FLEET_DATA} COMPONENT common PATTERN "*_test.yml" EXCLUDE)
install(FILES deploy/systemd/localhost.conf DESTINATION ${FLEET_DATA}/systemd COMPONENT common)
install(FILES README.md DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/agent-fleet-common COMPONENT common)
install(FILES deploy/README.md DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/agent-fleet-common/deploy COMPONENT common)
install(FILES server/README.md DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/agent-fleet-common/server COMPONENT common)

foreach(component server worker common)
  file(GLOB PAGES CONFIGURE_DEPENDS deploy/man/${component}/*.[58])
  foreach(page ${PAGES})
    get_filename_component(section ${page} LAST_EXT)
    string(SUBSTRING ${section} 1 1 section)
    install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section} COMPONENT ${component})
  endforeach()
endforeach()

# Units name /usr/bin in deploy/systemd; the prefix is known when they are installed.
file(GLOB UNITS CONFIGURE_DEPENDS deploy/systemd/*.service deploy/systemd/*.target)
foreach(unit ${UNITS})
  get_filename_component(name ${unit} NAME)
  set(component common)
  if(name MATCHES "^fleet-(server|worker)@")
    set(component ${CMAKE_MATCH_1})
  endif()
  install(CODE "
    file(READ \"${unit}\" text)
    string(REPLACE \"/usr/bin/fleet-\" \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}/fleet-\" text \"\${text}\")
    file(WRITE \"${CMAKE_BINARY_DIR}/units/${name}\" \"\${text}\")
    file(INSTALL DESTINATION \"\${CMAKE_INSTALL_PREFIX}/lib/systemd/system\" TYPE FILE
         FILES \"${CMAKE_BINARY_DIR}/units/${name}\")" COMPONENT ${component})
endforeach()
install(FILES deploy/debian/agent-fleet.sysusers DESTINATION lib/sysusers.d RENAME agent-fleet.conf COMPONENT common)
install(CODE "
  if(CMAKE_INSTALL_PREFIX STREQUAL \"/usr\" AND NOT EXISTS \"\$ENV{DESTDIR}/etc/agent-fleet/fleet.yaml\")
    file(INSTALL DESTINATION /etc/agent-fleet TYPE FILE FILES \"${CMAKE_SOURCE_DIR}/deploy/fleet.yaml\"
         PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ)
  endif()" COMPONENT common)

# ---- Debian packages: cmake --build build --target package, or deploy/package. Version and modes: deploy/debian/*.cmake.

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME agent-fleet)
set(CPACK_PACKAGE_CONTACT "Agent Fleet maintainers <agent-fleet@example.org>")
set(CPACK_COMPONENTS_ALL server worker common)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PROJECT_CONFIG_FILE ${CMAKE_SOURCE_DIR}/deploy/debian/version.cmake)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_SOURCE_DIR}/deploy/debian/stage.cmake)
set(CPACK_FLEET_SOURCE ${CMAKE_SOURCE_DIR})
set(CPACK_FLEET_VERSION ${PROJECT_VERSION})

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS OFF)
set(ARCHITECTURE_x86_64 amd64)
set(ARCHITECTURE_aarch64 arm64)
set(INSTANCE_server 9091)
set(INSTANCE_worker 1)
foreach(NODE server worker)
  set(INSTANCE ${INSTANCE_${NODE}})
  string(TOUPPER ${NODE} upper)
  set(scripts "")
  foreach(script postinst prerm postrm)
    configure_file(deploy/debian/node.${script}.in debian/${NODE}/${script} @ONLY
                   FILE_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
    list(APPEND scripts ${CMAKE_BINARY_DIR}/debian/${NODE}/${script})
  endforeach()
  set(CPACK_DEBIAN_${upper}_PACKAGE_CONTROL_EXTRA ${scripts})
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME agent-fleet-${NODE})
  set(CPACK_DEBIAN_${upper}_PACKAGE_ARCHITECTURE ${ARCHITECTURE_${CMAKE_SYSTEM_PROCESSOR}})
  set(CPACK_DEBIAN_${upper}_PACKAGE_SHLIBDEPS ON)
endforeach()
foreach(script postinst postrm)
  configure_file(deploy/debian/common.${script} debian/common/${script} COPYONLY)
endforeach()
set(CPACK_DEBIAN_COMMON_PACKAGE_CONTROL_EXTRA ${CMAKE_BINARY_DIR}/debian/common/postinst ${CMAKE_BINARY_DIR}/debian/common/postrm
    ${CMAKE_SOURCE_DIR}/deploy/debian/conffiles)
set(CPACK_DEBIAN_COMMON_PACKAGE_NAME agent-fleet-common)
set(CPACK_DEBIAN_COMMON_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_COMMON_PACKAGE_DEPENDS
    "postgresql-client, curl, systemd | systemd-standalone-sysusers | systemd-sysusers")
set(CPACK_DEBIAN_COMMON_PACKAGE_SUGGESTS "agent-fleet-server, agent-fleet-worker, caddy, postgresql, prometheus")

set(CPACK_COMPONENT_SERVER_DESCRIPTION "node that serves the API of an Agent Fleet
Agent Fleet runs AI coding agents on a team's own machines: an issue that
is labelled in Forgejo becomes a durable task, which runs on a host whose
agent has the capability and a free slot.
.
This package has fleet-server: REST, streams, agents that poll over HTTP,
and Forgejo's webhook. PostgreSQL holds all state, so that any number of
servers may run behind a proxy, and any may be killed.")
set(CPACK_COMPONENT_WORKER_DESCRIPTION "node that runs the agents of an Agent Fleet over SSH
Agent Fleet runs AI coding agents on a team's own machines: an issue that
is labelled in Forgejo becomes a durable task, which runs on a host whose
agent has the capability and a free slot.
.
This package has fleet-worker: it claims tasks, runs agents on the hosts
over SSH, follows their output and takes over the runs of workers that
died. It carries the program that supervises runs on hosts of these
machines: ${CARRIED_MACHINES}.")
set(CPACK_COMPONENT_COMMON_DESCRIPTION "schema, configuration and documents of an Agent Fleet
Agent Fleet runs AI coding agents on a team's own machines: an issue that
is labelled in Forgejo becomes a durable task, which runs on a host whose
agent has the capability and a free slot.
.
This package has what servers and workers share: the database's migrations
with fleet-migrate, the configuration's template, units, the Caddyfile,
alert rules, and manual pages.")
include(CPack)
