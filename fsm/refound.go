package fsm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"
)

// State is what a replica that is not in use says of itself.
type State struct {
	Index, Term uint64 // of the last log entry that it holds
	Rev, Epoch  uint64
	Time        int64  // the highest leader time applied, Unix ms
	Chain, Set  string // hexadecimal
	Servers     []raft.Server
	Members     []Member
}

// Inspect reads the replica in dir, which must not be in use, and changes nothing. All rows are checked: it
// fails with ErrCorrupt, ErrUnknown or ErrStorage. A folder without a replica has the zero State.
func Inspect(dir string) (st State, err error) {
	defer guard(&err, debug.SetPanicOnFault(true))
	path := filepath.Join(dir, FileName)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return st, nil
	}
	m, err := checkFile(path)
	if err != nil {
		return st, err
	}
	db, err := openFile(path, &bolt.Options{ReadOnly: true})
	if err != nil {
		return st, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.Begin(false)
	if err != nil {
		return st, err
	}
	defer tx.Rollback()
	filed := rows{live: newTree(), inFile: newFiled(tx.Bucket(rowsBucket))}
	st = State{Index: m.Index, Term: m.Term, Rev: m.Rev, Epoch: m.Epoch, Time: m.Time,
		Chain: fmt.Sprintf("%016x", m.Chain), Set: fmt.Sprintf("%016x", m.Set), Members: filed.members()}
	if len(m.Conf) > 0 {
		st.Servers = raft.DecodeConfiguration(m.Conf).Servers
	}
	return st, nil
}

// LoggedMembers returns what the data of a log entry says of members. It fails as DecodeEnvelope does.
func LoggedMembers(data []byte) (members []Member, err error) {
	_, cmds, err := DecodeEnvelope(data)
	if err != nil {
		return nil, err
	}
	for i := range cmds {
		if cmds[i].Type == TypeMember && cmds[i].Version == 1 {
			in := &reader{b: cmds[i].Payload}
			if m := in.member(); in.end() == nil {
				members = append(members, m)
			}
		}
	}
	return members, nil
}

// Founding is what becomes of a replica whose group lost its majority for good.
type Founding struct {
	Group       string // the new group
	Node        string // its only member
	Index, Term uint64 // where the new group begins: above all that the old one logged
	Conf        raft.Configuration
	Epoch       uint64
}

// Refound makes the newest state that of a new group, durably. Lists, entries, rev, changes and idempotency
// keys stay. Sessions of the old group are closed: a command that is still on its way in one is refused and never
// applied. Of the members only f.Node is known further: the others' folders are of the old
// group, and they come as new ones.
func (r *Replica) Refound(f Founding) error {
	s := r.store
	if err := s.begin(); err != nil {
		return err
	}
	if err := r.refound(&f); err != nil {
		s.abandon(err)
		return err
	}
	if err := s.commit(); err != nil {
		return err
	}
	if err := s.flush(nil); err != nil {
		return err
	}
	return setGroup(s.db, f.Group)
}

func (r *Replica) refound(f *Founding) (err error) {
	defer guard(&err, debug.SetPanicOnFault(true))
	m := &r.store.meta
	if f.Index <= m.Index || f.Term < m.Term || f.Epoch == m.Epoch {
		return fmt.Errorf("a new group from entry %d of term %d in epoch %d, on a replica at %d of %d in %d",
			f.Index, f.Term, f.Epoch, m.Index, m.Term, m.Epoch)
	}
	for _, ses := range r.sessions {
		r.closeSession(ses)
	}
	r.forgetMembers(f.Node)
	m.Index, m.Term, m.Epoch = f.Index, f.Term, f.Epoch
	m.ConfIndex, m.Conf = f.Index, raft.EncodeConfiguration(f.Conf)
	return nil
}

// forgetMembers takes away what is known of all nodes but one.
func (r *Replica) forgetMembers(but string) {
	s := r.store
	own, known := s.rows().member(but)
	for _, table := range []byte{tabMember, tabFolder} {
		for _, key := range s.rows().keys(string(rune(table)), after(string(rune(table))), maxKeys) {
			if !known || key != textKey(tabMember, but) && key != textKey(tabFolder, own.Folder) {
				s.del(key)
			}
		}
	}
}

// maxKeys asks for all keys of a table that has few.
const maxKeys = 1 << 30
