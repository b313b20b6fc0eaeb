package fsm

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"

	"todod/fsm/todo"
)

// restoring is a log entry that restores a backup. It is not applied within the store: a replica is made of
// the staged backup and of what the group keeps, and takes the place of the one there is. So a crash leaves
// the one or the other, and the entry is applied again or was applied.
type restoring struct {
	r       *Replica
	log     *raft.Log
	time    int64
	what    Restore
	payload []byte
}

func (*restoring) Error() string { return "a restore is to be applied" }

// restoreIn returns a *restoring if the log entry is a restore, or why it cannot be applied.
func (r *Replica) restoreIn(log *raft.Log, stamp Stamp, cmds []Command) error {
	for i := range cmds {
		c := &cmds[i]
		if c.Type != TypeRestore {
			continue
		}
		if err := r.known(c); err != nil {
			return err
		}
		in := &reader{b: c.Payload}
		what := Restore{Hash: in.string(), Size: in.int(), Epoch: in.uvarint()}
		if in.end() != nil || len(cmds) > 1 || len(what.Hash) != hashText || what.Epoch == 0 || c.Session != 0 {
			return fmt.Errorf("a restore: %w", ErrDamaged)
		}
		if stamp.Term == 0 || stamp.Term == log.Term { // else it is refused as all that comes in another term
			return &restoring{r, log, stamp.Time, what, c.Payload}
		}
	}
	return nil
}

// run applies the entry, after all before it were published.
func (s *restoring) run() (results []Result, err error) {
	defer guard(&err, debug.SetPanicOnFault(true))
	r := s.r
	path, made, err := s.take()
	if err != nil {
		return nil, err
	}
	m, err := s.complete(path, made)
	if err != nil {
		return nil, r.store.fail(errors.Join(fmt.Errorf("restore a backup: %w: %w", err, ErrStorage), os.Remove(path)))
	}
	r.store.at("switch: the replica is made")
	if err := r.store.replace(path); err != nil {
		return nil, r.store.fail(err)
	}
	r.staged.applied(s.what.Hash, s.log.Index)
	return []Result{s.result(m)}, nil
}

// take returns the replica that was made of the backup. It waits until it is staged; when it cannot be waited for
// any longer nothing after the entry is applied either.
func (s *restoring) take() (path string, m meta, err error) {
	r := s.r
	for {
		path, m, ok, err := r.staged.take(s.what.Hash)
		switch {
		case err != nil:
			return "", m, r.store.fail(fmt.Errorf("restore a backup: %w: %w", err, ErrStorage))
		case ok:
			return path, m, nil
		}
		err = s.fetch()
		if err != nil {
			r.halted = fmt.Errorf("log entry %d restores a backup that this node has not: %w", s.log.Index, err)
			return "", m, r.halted
		}
	}
}

func (s *restoring) fetch() error {
	if s.r.cfg.Fetch == nil {
		return errors.New("it cannot be fetched here")
	}
	ctx, cancel, err := s.r.fetching.context()
	if err != nil {
		return err
	}
	defer cancel()
	return s.r.cfg.Fetch(ctx, s.what)
}

func (s *restoring) result(m meta) Result {
	return Result{Code: todo.OK, Epoch: m.Epoch, Rev: m.Rev, Time: m.Time}
}

// complete adds to the replica of the backup what the group keeps over a restore: its members, its place in
// the log, and each highest id that a list ever gave, so that none is given again.
func (s *restoring) complete(path string, m meta) (_ meta, err error) {
	defer guard(&err, debug.SetPanicOnFault(true))
	group, img, err := s.r.store.view()
	if err != nil {
		return m, err
	}
	defer group.close() // before the file is replaced, which waits for readers
	b := &builder{path: path, sync: !s.r.cfg.NoSync, m: m}
	if b.db, err = openFile(path, &bolt.Options{NoSync: true}); err != nil {
		return m, err
	}
	if err := b.adopt(group); err != nil {
		b.close()
		return m, err
	}
	s.place(&b.m, &img.meta)
	if err := cmp.Or(b.set(string(metaKey), b.m.encode()), b.commit(), claim(b.db, s.r.cfg.Group)); err != nil {
		b.close()
		return m, err
	}
	return b.m, b.shut()
}

// adopt takes over the rows of the group that a restore leaves as they are.
func (b *builder) adopt(group rows) (err error) {
	for _, table := range []byte{tabMember, tabFolder} {
		group.scan(string(table), after(string(table)), func(key string, payload []byte) bool {
			err = b.put(key, append(newRow(len(payload)), payload...))
			return err == nil
		})
		if err != nil {
			return err
		}
	}
	group.scan(string(tabList), after(string(tabList)), func(key string, payload []byte) bool {
		err = b.adoptList(key, decodeList(key[1:], payload))
		return err == nil
	})
	return err
}

// adoptList keeps the highest id that a list of the group gave.
func (b *builder) adoptList(key string, was todo.List) error {
	l := todo.List{Name: was.Name} // deleted by the restore
	if b.tx == nil {
		if err := b.begin(); err != nil {
			return err
		}
	}
	if row := b.rows.Get([]byte(key)); row != nil {
		if l = decodeList(was.Name, mustUnseal(key, row)); l.LastID >= was.LastID {
			return nil
		}
		b.m.Set -= rowHash(key, row)
	}
	l.LastID = was.LastID
	return b.put(key, appendList(newRow(32), &l))
}

// place says where the new replica stands: at the entry that restores it, in the group that there is, above
// both its revs and the backup's, with no session open and no change to tell of.
func (s *restoring) place(m, group *meta) {
	m.Group, m.ConfIndex, m.Conf = group.Group, group.ConfIndex, group.Conf
	m.Index, m.Term = s.log.Index, s.log.Term
	m.Rev = max(m.Rev, group.Rev) + 1
	m.Epoch = s.what.Epoch
	m.Time = max(m.Time, group.Time, s.time)
	m.NextSession = group.NextSession
	m.TrashDays, m.EventsMiB = group.TrashDays, group.EventsMiB
	m.FirstChange = m.Rev + 1
	m.Chain = group.Chain
	res := s.result(*m)
	m.link(s.payload, AppendResult(nil, &res))
}
