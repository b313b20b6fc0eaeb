// Package peer is how the nodes of a group reach each other: one port, on which Raft's
// streams and the nodes' own calls are told apart by their first bytes. Every connection
// begins with a handshake in which both sides say who they are; a stranger is
// turned away with a reason that both logs show. TLS, once it comes, goes around
// the listener and the dialler here and nowhere else.
package peer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Identity is who a node is: its group, its name, its data folder and the one run of its process.
type Identity struct {
	Group, Node, Folder, Boot string
	Last                      uint64 // where its log ended when this run began; 0: it had none, or is not open yet
}

// Reason says why a connection was turned away. It crosses the wire: never renumber.
type Reason uint8

// The reasons.
const (
	Welcome  Reason = 0
	Version  Reason = 1 // another protocol version
	Group    Reason = 2 // another group
	NotYet   Reason = 3 // the node that was called belongs to no group yet
	Node     Reason = 4 // not the node that was called
	Folder   Reason = 5 // the node ID is known with another data folder
	Removed  Reason = 6 // the node was taken out of the group for good
	Stopping Reason = 7 // the node that was called is stopping
	Twice    Reason = 8 // another process with that node's folder is alive where the group knows it
	Older    Reason = 9 // the folder holds less than its node once said: it is an old copy
)

// Refused is a connection that a handshake turned away.
type Refused struct {
	Reason Reason
	Detail string   // one sentence
	By     Identity // who refused; empty when this node did
}

func (r *Refused) Error() string { return r.Detail }

func refuse(reason Reason, format string, args ...any) *Refused {
	return &Refused{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// protocolVersion is the version of the handshake and of the frames after it.
const protocolVersion = 1

// magic opens every connection, in both directions.
const magic = "todod\x00"

// The kinds of stream.
const (
	streamRaft  = 'r'
	streamCalls = 'c'
)

// maxHello bounds what is read from whoever connects: names are at most 64 bytes.
const maxHello = 2048

// A hello is magic, protocol version, one byte (kind of stream from the dialler, reason from
// the node that was called), length (2 bytes, big endian) and five texts with their lengths: group,
// node, folder, boot, and either the node the dialler wants or the detail of a refusal. The end of the
// log is last, a uvarint.
type hello struct {
	kind byte
	from Identity
	text string
}

func (h *hello) encode() []byte {
	var body []byte
	for _, s := range []string{h.from.Group, h.from.Node, h.from.Folder, h.from.Boot, h.text} {
		body = binary.AppendUvarint(body, uint64(len(s)))
		body = append(body, s...)
	}
	body = binary.AppendUvarint(body, h.from.Last)
	b := append([]byte(magic), protocolVersion, h.kind)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return append(b, body...)
}

var errNotTodod = errors.New("what was received is not todod's")

// readHello reads a hello; the error is errNotTodod, *Refused for another version, or the reader's.
func readHello(r io.Reader) (*hello, error) {
	var head [len(magic) + 4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	if string(head[:len(magic)]) != magic {
		return nil, errNotTodod
	}
	if v := head[len(magic)]; v != protocolVersion {
		return nil, refuse(Version, "the peer speaks protocol version %d, this node %d: run the same todod on both", v, protocolVersion)
	}
	size := binary.BigEndian.Uint16(head[len(magic)+2:])
	if size > maxHello {
		return nil, errNotTodod
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, err
	}
	h := &hello{kind: head[len(magic)+1]}
	for _, to := range []*string{&h.from.Group, &h.from.Node, &h.from.Folder, &h.from.Boot, &h.text} {
		n, used := binary.Uvarint(body)
		if used <= 0 || n > uint64(len(body)-used) {
			return nil, errNotTodod
		}
		*to = string(body[used : used+int(n)])
		body = body[used+int(n):]
	}
	last, used := binary.Uvarint(body)
	if used <= 0 || used != len(body) {
		return nil, errNotTodod
	}
	h.from.Last = last
	return h, nil
}
