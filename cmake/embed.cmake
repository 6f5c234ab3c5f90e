# tenon_embed(OUT NAMESPACE HEADER FILES...): makes OUT, a C++ source with the texts of FILES in the table of PreludeFile
# that HEADER declares. The same file is the script that writes it while building, so that a changed text is embedded
# anew.
if(CMAKE_SCRIPT_MODE_FILE)
  separate_arguments(FILES UNIX_COMMAND "${FILES}")
  set(entries)
  foreach(file ${FILES})
    get_filename_component(name ${file} NAME)
    file(READ ${file} text)
    string(APPEND entries "    {\"${name}\", R\"embed~(${text})embed~\"},\n")
  endforeach()
  file(WRITE ${OUT} "// Made by cmake/embed.cmake.\n#include \"${HEADER}\"\n\nnamespace ${NAMESPACE} {\n\n"
                    "extern const PreludeFile kPrelude[] = {\n${entries}    {nullptr, nullptr}};\n\n}  // namespace ${NAMESPACE}\n")
  return()
endif()

function(tenon_embed out namespace header)
  list(JOIN ARGN " " files)
  add_custom_command(
    OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DOUT=${out} -DNAMESPACE=${namespace} -DHEADER=${header} "-DFILES=${files}"
            -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${ARGN} ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
    VERBATIM)
endfunction()
