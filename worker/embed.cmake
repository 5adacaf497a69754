# Writes INPUT as the C byte array runner_script[] (declared in worker/runner.h) to OUTPUT.
file(READ ${INPUT} hex HEX)
string(LENGTH "${hex}" digits)
math(EXPR size "${digits} / 2")
string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
file(WRITE ${OUTPUT} "#include \"worker/runner.h\"\n"
     "const unsigned char runner_script[] = {${bytes}0};\n"
     "const size_t runner_script_size = ${size};\n")
