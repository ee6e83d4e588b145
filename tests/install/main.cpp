// A program outside weft: it sees only what is installed.
#include <cstdio>
#include <weft/clock/version_vector.hpp>
#include <weft/weft.hpp>

int main() {
    weft::version_vector berlin{{weft::replica_id{1}, 3}};
    weft::version_vector oslo{{weft::replica_id{2}, 5}};
    if (!berlin.concurrent_with(oslo)) return 1;
    berlin.join(oslo);
    std::printf("%s\n", weft::to_string(berlin).c_str());
    return berlin.covers(oslo) ? 0 : 1;
}
