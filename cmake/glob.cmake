# The one place that globs: sources of a folder, without its tests. CONFIGURE_DEPENDS makes a new file appear on a
# plain `cmake --build`.
function(tenon_sources out)
  set(all)
  foreach(folder ${ARGN})
    file(GLOB found CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.cc)
    list(APPEND all ${found})
  endforeach()
  list(FILTER all EXCLUDE REGEX "_test\\.cc$|_fuzz\\.cc$")
  set(${out} ${all} PARENT_SCOPE)
endfunction()

# Writes OP(stem) for each operator file into ops.inc, so that the file's existence is its registration.
function(tenon_write_ops_inc path)
  file(GLOB files CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/ops/*.cc)
  set(text)
  foreach(f ${files})
    get_filename_component(stem ${f} NAME_WE)
    if(NOT stem MATCHES "_test$")
      string(APPEND text "OP(${stem})\n")
    endif()
  endforeach()
  file(CONFIGURE OUTPUT ${path} CONTENT "${text}" @ONLY)
endfunction()
