// In front of a native module for RISC-V: one instruction calls what is up to 1 MiB away, as all of a module is. The assembler
// takes two, which a linker would make one again, and mpy_ld.py does not.
#ifndef NATMOD_RV32_H
#define NATMOD_RV32_H

#ifdef __riscv
__asm__(".macro call first, second\n"
        "  .ifb \\second\n"
        "    jal ra, \\first\n"
        "  .else\n" // the register of the return address comes first
        "    jal \\first, \\second\n"
        "  .endif\n"
        ".endm\n"
        ".macro tail to\n"
        "  j \\to\n"
        ".endm");
#endif

#endif
