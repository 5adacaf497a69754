# What `cmake --install` puts where (GNUInstallDirs; any prefix, DESTDIR), and the Debian packages.
#
#   bin/                        fleet-server, fleet-worker, fleet-rolling-restart; fleet-migrate, a link to migrations/apply
#   share/agent-fleet/          migrations/, Caddyfile, fleet.caddy, prometheus/, grafana/, fleet.yaml (the template)
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
if(EXISTS ${CMAKE_SOURCE_DIR}/deploy/rolling-restart)
  install(PROGRAMS deploy/rolling-restart DESTINATION ${CMAKE_INSTALL_BINDIR} RENAME fleet-rolling-restart COMPONENT common)
endif()
install(FILES deploy/Caddyfile deploy/fleet.caddy deploy/fleet.yaml DESTINATION ${FLEET_DATA} COMPONENT common)
foreach(folder prometheus grafana)
  if(IS_DIRECTORY ${CMAKE_SOURCE_DIR}/deploy/${folder})
    install(DIRECTORY deploy/${folder} DESTINATION ${FLEET_DATA} COMPONENT common)
  endif()
endforeach()
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
