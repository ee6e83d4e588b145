#include "tests/fuzz/targets.hpp"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

// Every file of the corpora through its target, as a test without libFuzzer: what was once found stays found.
using namespace weft;

int main(int count, char** words) {
    if (count != 2) {
        std::fprintf(stderr, "usage: corpus_test FOLDER, which holds one folder a target\n");
        return 1;
    }
    std::size_t passed = 0;
    std::size_t missing = 0;
    for (const fuzz::target& one : fuzz::targets()) {
        std::filesystem::path folder = std::filesystem::path(words[1]) / one.name;
        std::size_t before = passed;
        if (std::filesystem::is_directory(folder)) {
            for (const auto& entry : std::filesystem::directory_iterator(folder)) {
                std::ifstream in(entry.path(), std::ios::binary);
                std::string content{std::istreambuf_iterator<char>(in), {}};
                std::printf("%s\n", entry.path().c_str());
                std::fflush(stdout); // the name of the one that aborts
                one.take(as_bytes(content));
                ++passed;
            }
        }
        if (passed == before) {
            std::printf("%s: nothing to start from\n", folder.c_str());
            ++missing;
        }
    }
    std::printf("%zu passed, %zu failed\n", passed, missing);
    return missing == 0 ? 0 : 1;
}
