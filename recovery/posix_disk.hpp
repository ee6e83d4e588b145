#pragma once
#include "base/env.hpp"

#include <memory>
#include <string>

namespace weft {

// A real directory, made with its parents if it is missing.
//
//   names    plain file names; one with a '/' and "..", "." or "" are invalid_argument
//   errors   disk_full for ENOSPC and EDQUOT, not_found for ENOENT, locked, else io_failed; each
//            names the path, the call and what the system said
//   threads  all calls from one thread; one worker thread for the calls that end in `_later`,
//            started by the first of them. Its answers go through `run`, which must outlive the
//            disk and its files. Destroying the disk waits for the calls under way
//   lock     flock on the file `lock`, which holds the owner's process id and is not listed
[[nodiscard]] result<std::unique_ptr<disk>> open_posix_disk(std::string directory, loop& run);

} // namespace weft
