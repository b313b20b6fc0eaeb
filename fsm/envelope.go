package fsm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// A log entry of Raft carries an envelope with one or more commands:
//
//	magic "td" | envelope version | leader term (8 bytes) | leader time (Unix ms, 8 bytes) | count
//	then for each command:
//	type | command version | flags | principal | session | number | low | key | payload
//	then CRC32C of all before it (4 bytes, big endian)
//
// Numbers are uvarints, texts are preceded by their length. An entry that cannot be
// read wholly halts the node: to skip it would be to diverge.
const (
	magic           = "td"
	envelopeVersion = 1
	headerSize      = len(magic) + 1 + 8 + 8
	crcSize         = 4
)

// ErrDamaged is a log entry whose checksum or form is wrong.
var ErrDamaged = errors.New("damaged")

// ErrUnknown is a log entry or a row of a version or a type that this program does not
// know: it was written by a newer one.
var ErrUnknown = errors.New("of a newer version")

// Type is what a command of the log is about. Types are stored: never renumber.
type Type uint8

// The types of command.
const (
	TypeTerm    Type = 1 // a leader opened its term; the first one of a group begins its epoch
	TypeSession Type = 2 // a node opens a session
	TypeTodo    Type = 3 // a todo.Command
	TypeSweep   Type = 4 // takes away rows of deleted lists, a bounded number
	TypeMember  Type = 5 // what the group knows of a node
	TypeMark    Type = 6 // changes nothing: the nodes compare their hashes there
	TypeRestore Type = 7 // puts the lists of a backup in the place of those there are
	TypeVersion Type = 8 // raises the version of the group
	TypePurge   Type = 9 // takes away trash and history that is too old, a bounded number of rows

	TypeSettings Type = 10 // sets what a group decides for itself
)

// Command is one command of the log.
type Command struct {
	Type      Type
	Version   uint8 // of the payload, from 1: see formats
	Flags     uint8 // none defined: must be 0
	Principal string
	Session   uint64 // the node session it was numbered in; 0: not numbered
	Number    uint64 // its number in the session, from 1
	Low       uint64 // the lowest number of the session still open when it was sent
	Key       string // Idempotency-Key, "" for none
	Payload   []byte
}

// Size is about how many bytes the command takes in a log entry.
func (c *Command) Size() int {
	return 24 + len(c.Principal) + len(c.Key) + len(c.Payload)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Stamp is what a leader says of itself in a log entry.
type Stamp struct {
	Term uint64 // the term that the commands were gathered in; 0 for any
	Time int64  // Unix ms
}

// EncodeEnvelope returns the data of a log entry with the given commands.
func EncodeEnvelope(stamp Stamp, cmds []*Command) []byte {
	size := headerSize + binary.MaxVarintLen64 + crcSize
	for _, c := range cmds {
		size += c.Size() + 16
	}
	b := append(make([]byte, 0, size), magic...)
	b = append(b, envelopeVersion)
	b = binary.BigEndian.AppendUint64(b, stamp.Term)
	b = binary.BigEndian.AppendUint64(b, uint64(stamp.Time))
	b = AppendCommands(b, cmds)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// DecodeEnvelope is the reverse of EncodeEnvelope. Payloads are slices of data. The error is
// ErrDamaged or ErrUnknown; types and versions of commands are judged when they are applied.
func DecodeEnvelope(data []byte) (stamp Stamp, cmds []Command, err error) {
	if len(data) < headerSize+crcSize || string(data[:len(magic)]) != magic {
		return Stamp{}, nil, fmt.Errorf("log entry without envelope: %w", ErrDamaged)
	}
	body, sum := data[:len(data)-crcSize], binary.BigEndian.Uint32(data[len(data)-crcSize:])
	if crc32.Checksum(body, castagnoli) != sum {
		return Stamp{}, nil, fmt.Errorf("log entry with wrong checksum: %w", ErrDamaged)
	}
	if v := body[len(magic)]; v != envelopeVersion {
		return Stamp{}, nil, fmt.Errorf("log entry with envelope version %d: %w", v, ErrUnknown)
	}
	stamp.Term = binary.BigEndian.Uint64(body[len(magic)+1:])
	stamp.Time = int64(binary.BigEndian.Uint64(body[len(magic)+1+8:]))
	r := &reader{b: body[headerSize:]}
	cmds = r.commands()
	if r.end() != nil {
		return Stamp{}, nil, fmt.Errorf("log entry cut short: %w", ErrDamaged)
	}
	return stamp, cmds, nil
}

// AppendCommands appends a sequence of commands without envelope, as nodes forward them.
func AppendCommands(b []byte, cmds []*Command) []byte {
	b = binary.AppendUvarint(b, uint64(len(cmds)))
	for _, c := range cmds {
		b = append(b, byte(c.Type), c.Version, c.Flags)
		b = appendBytes(b, c.Principal)
		b = appendUvarints(b, c.Session, c.Number, c.Low)
		b = appendBytes(b, c.Key)
		b = appendBytes(b, c.Payload)
	}
	return b
}

// DecodeCommands is the reverse of AppendCommands. Payloads are slices of b.
func DecodeCommands(b []byte) ([]Command, error) {
	r := &reader{b: b}
	cmds := r.commands()
	return cmds, r.end()
}

func (r *reader) commands() []Command {
	cmds := make([]Command, r.count(9))
	for i := range cmds {
		c := &cmds[i]
		c.Type, c.Version, c.Flags = Type(r.byte()), r.byte(), r.byte()
		c.Principal = r.string()
		c.Session, c.Number, c.Low = r.uvarint(), r.uvarint(), r.uvarint()
		c.Key = r.string()
		c.Payload = r.bytes()
	}
	return cmds
}
