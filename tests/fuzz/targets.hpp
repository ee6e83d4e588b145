#pragma once
#include "base/bytes.hpp"

#include <span>
#include <string_view>

// Everything that reads bytes from outside, each as one function that takes any bytes. What it finds
// wrong it says by a failed WEFT_CHECK; the sanitizers see the rest.
namespace weft::fuzz {

void frame(byte_view data);    // a stream of frames, arriving in pieces
void message(byte_view data);  // one message of a peer
void run(byte_view data);      // a run, and then the state it makes
void unpack(byte_view data);   // compressed bytes that may lie about their size
void segment(byte_view data);  // a log, as raw bytes or as sound records with any contents
void snapshot(byte_view data); // a snapshot, whole, or a chunk or the header of a state image
void identity(byte_view data); // an identity file
void value(byte_view data);    // a scalar, from bytes and from JSON
void control(byte_view data);  // requests to a node's HTTP interface
void import(byte_view data);   // JSON lines
void session(byte_view data);  // what a peer says, to a replica at work
void config(byte_view data);   // a node's configuration file
void audit(byte_view data);    // an audit trail, as raw bytes, or one entry of it

struct target {
    std::string_view name;
    void (*take)(byte_view data);
};
[[nodiscard]] std::span<const target> targets();

} // namespace weft::fuzz
