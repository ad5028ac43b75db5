// Linked into every program of a build with AddressSanitizer. fontconfig keeps what it has read of the system's
// fonts until the process ends, behind offsets instead of pointers, which the leak check takes for lost memory.
// NOLINTBEGIN(bugprone-reserved-identifier): the names are the sanitizer's.
// Exported, as other symbols of a program are not: the sanitizer looks its functions up by name.
extern "C" [[gnu::visibility("default")]] const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:libfontconfig.so\n"; }
// What a program prints must not depend on how it was built.
extern "C" [[gnu::visibility("default")]] const char* __lsan_default_options();
extern "C" const char* __lsan_default_options() { return "print_suppressions=0"; }
// NOLINTEND(bugprone-reserved-identifier)
