# Read by CPack before it packs: the version, which grows with each commit, and the time that all files bear, so that the same
# commit gives the same bytes. What is not committed is said in the version. `cpack -D CPACK_FLEET_FORCED=X` names another one.
set(commit unknown)
execute_process(COMMAND git -C ${CPACK_FLEET_SOURCE} log -1 --format=%ct.%h OUTPUT_VARIABLE head
                OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(head MATCHES "^([0-9]+)\\.([0-9a-f]+)$")
  set(seconds ${CMAKE_MATCH_1})
  set(commit ${CMAKE_MATCH_2})
else()
  set(seconds 0)
endif()
if(NOT "$ENV{SOURCE_DATE_EPOCH}" STREQUAL "")
  set(seconds $ENV{SOURCE_DATE_EPOCH})
endif()
set(ENV{SOURCE_DATE_EPOCH} ${seconds})

set(CPACK_FLEET_CHANGE "Built from commit ${commit}.")
set(version ${CPACK_FLEET_VERSION})
if(NOT commit STREQUAL unknown)
  string(TIMESTAMP stamp "%Y%m%d%H%M%S" UTC) # of SOURCE_DATE_EPOCH
  string(APPEND version "+${stamp}")
  execute_process(COMMAND git -C ${CPACK_FLEET_SOURCE} status --porcelain OUTPUT_VARIABLE changes ERROR_QUIET)
  if(NOT changes STREQUAL "")
    string(APPEND version "+changed")
    set(CPACK_FLEET_CHANGE "Built from commit ${commit}, with changes that are not committed.")
  endif()
endif()
if(DEFINED CPACK_FLEET_FORCED)
  set(version ${CPACK_FLEET_FORCED})
endif()
set(CPACK_PACKAGE_VERSION ${version})

set(CPACK_DEBIAN_SERVER_PACKAGE_DEPENDS "agent-fleet-common (= ${version}), ca-certificates")
# Debian's security update: before it a man in the middle could weaken a connection.
set(CPACK_DEBIAN_WORKER_PACKAGE_DEPENDS "agent-fleet-common (= ${version}), libssh2-1 (>= 1.10.0-3+deb12u1), ca-certificates")
