#pragma once

namespace flatfield::execution {

/// Settles how the allocator of the C library behaves, once, before threads are started: what is large is given back to
/// the system when it is freed, and what the codecs take and free for every chunk is kept, so that it costs no
/// page faults. Without it, glibc raises both bounds as it sees what is freed, and a run holds more than it says.
void settle_allocator();

}  // namespace flatfield::execution
