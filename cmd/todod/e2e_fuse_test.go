package main_test

import (
	"context"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// forgetful is a disk that keeps what POSIX promises and no more: what was written is there for all to see, and after the
// power fails only what was synced is sure to be. Of all else each sector of 512 bytes is kept or lost by itself, as is a
// file's new length; names, which only the sync of their folder keeps, come back up to some point, in
// the order in which they were given.
type forgetful struct {
	t      *testing.T
	dir    string // where it is mounted
	server *fuse.Server

	mu    sync.Mutex // guards all below, and the files
	dice  *rand.Rand
	root  *keptDir
	inode uint64

	left  int           // changes until the power fails; negative for as many as one likes
	down  chan struct{} // closed when the power fails, and with it all changes stop
	syncs int
	kept  int // sectors that were not synced when the power failed
	lost  int
}

const sector = 512

// keptFile is a file: as it is seen, and as it surely is on the disk.
type keptFile struct {
	ino         uint64
	live, saved []byte
	dirty       map[int]bool // sectors written since the last sync
}

// keptDir is a folder: as it is seen, as it surely is, and what was done to it since.
type keptDir struct {
	ino         uint64
	live, saved map[string]any // *keptFile or *keptDir
	pending     []func(names map[string]any)
}

// newForgetful mounts an empty disk.
func newForgetful(t *testing.T, seed uint64) *forgetful {
	t.Helper()
	d := &forgetful{t: t, dir: t.TempDir(), dice: rand.New(rand.NewPCG(seed, 1)), left: -1, down: make(chan struct{})}
	d.root = d.newDir()
	if err := d.mount(); err != nil {
		t.Skipf("no disk of our own can be mounted here: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(d.dir, syscall.MNT_DETACH) })
	return d
}

func (d *forgetful) mount() (err error) {
	opt := &fs.Options{MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "todod-test", MaxWrite: 1 << 20}}
	d.server, err = fs.Mount(d.dir, &dirNode{d: d, p: d.root}, opt)
	return err
}

// failAfter has the power fail after so many more changes: the one after them never comes back. It returns what is closed then.
func (d *forgetful) failAfter(changes int) <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left = changes
	return d.down
}

// change begins a change of the disk; false if it comes too late. mu is held afterwards.
func (d *forgetful) change(ctx context.Context) bool {
	d.mu.Lock()
	if d.left > 0 {
		d.left--
	}
	if d.left != 0 {
		return true
	}
	select {
	case <-d.down:
	default:
		close(d.down)
	}
	d.mu.Unlock()
	<-ctx.Done() // until its process is killed
	d.mu.Lock()
	return false
}

// cut is the end of the power, if it has not failed by now, and its return. Whoever used the disk must be dead.
func (d *forgetful) cut() {
	d.t.Helper()
	must(d.t, d.server.Unmount())
	d.mu.Lock()
	d.crashDir(d.root)
	d.left, d.down = -1, make(chan struct{})
	d.mu.Unlock()
	must(d.t, d.mount())
}

func (d *forgetful) crashDir(p *keptDir) {
	for _, do := range p.pending[:d.dice.IntN(len(p.pending)+1)] {
		do(p.saved)
	}
	p.pending = nil
	p.live = map[string]any{}
	for name, what := range p.saved {
		p.live[name] = what
		switch what := what.(type) {
		case *keptDir:
			d.crashDir(what)
		case *keptFile:
			d.crashFile(what)
		}
	}
}

func (d *forgetful) crashFile(f *keptFile) {
	size := len(f.saved)
	if d.dice.IntN(2) == 0 {
		size = len(f.live)
	}
	after := make([]byte, size)
	copy(after, f.saved)
	keep := d.dice.Float64() // of this file: from nearly nothing to nearly all
	for s := range f.dirty {
		from, to := s*sector, min((s+1)*sector, len(f.live))
		if from >= size || d.dice.Float64() >= keep {
			d.lost++
			continue
		}
		d.kept++
		copy(after[from:], f.live[from:max(from, to)])
	}
	f.live, f.saved, f.dirty = after, append([]byte(nil), after...), map[int]bool{}
}

func (d *forgetful) newDir() *keptDir {
	d.inode++
	return &keptDir{ino: d.inode, live: map[string]any{}, saved: map[string]any{}}
}

func (d *forgetful) newFile() *keptFile {
	d.inode++
	return &keptFile{ino: d.inode, dirty: map[int]bool{}}
}

// do changes the names of a folder: now for all to see, for good at its next sync.
func (p *keptDir) do(f func(names map[string]any)) {
	f(p.live)
	p.pending = append(p.pending, f)
}

func (f *keptFile) resize(size int) {
	if size <= len(f.live) {
		f.live = f.live[:size]
		return
	}
	old := len(f.live)
	if size > cap(f.live) {
		f.live = append(make([]byte, 0, size+size/4), f.live...)
	}
	f.live = f.live[:size]
	clear(f.live[old:])
	for s := old / sector; s <= (size-1)/sector; s++ {
		f.dirty[s] = true
	}
}

func (f *keptFile) sync() {
	if len(f.saved) > len(f.live) {
		f.saved = f.saved[:len(f.live)]
	}
	f.saved = append(f.saved, make([]byte, len(f.live)-len(f.saved))...)
	for s := range f.dirty {
		if from := s * sector; from < len(f.live) {
			copy(f.saved[from:], f.live[from:min(from+sector, len(f.live))])
		}
	}
	clear(f.dirty)
}

// dirNode and fileNode show them to the kernel.
type dirNode struct {
	fs.Inode
	d *forgetful
	p *keptDir
}

type fileNode struct {
	fs.Inode
	d *forgetful
	f *keptFile
}

func (n *dirNode) child(ctx context.Context, what any, out *fuse.EntryOut) *fs.Inode {
	switch what := what.(type) {
	case *keptDir:
		out.Mode = syscall.S_IFDIR | 0o700
		return n.NewInode(ctx, &dirNode{d: n.d, p: what}, fs.StableAttr{Mode: syscall.S_IFDIR, Ino: what.ino})
	case *keptFile:
		out.Mode, out.Size = syscall.S_IFREG|0o600, uint64(len(what.live))
		return n.NewInode(ctx, &fileNode{d: n.d, f: what}, fs.StableAttr{Mode: syscall.S_IFREG, Ino: what.ino})
	}
	return nil
}

func (n *dirNode) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	if child := n.child(ctx, n.p.live[name], out); child != nil {
		return child, 0
	}
	return nil, syscall.ENOENT
}

func (n *dirNode) Mkdir(ctx context.Context, name string, _ uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	defer n.d.mu.Unlock()
	if !n.d.change(ctx) {
		return nil, syscall.EINTR
	}
	dir := n.d.newDir()
	n.p.do(func(names map[string]any) { names[name] = dir })
	return n.child(ctx, dir, out), 0
}

func (n *dirNode) Create(ctx context.Context, name string, _, _ uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	defer n.d.mu.Unlock()
	if !n.d.change(ctx) {
		return nil, nil, 0, syscall.EINTR
	}
	file := n.d.newFile()
	n.p.do(func(names map[string]any) { names[name] = file })
	return n.child(ctx, file, out), nil, 0, 0
}

func (n *dirNode) Unlink(ctx context.Context, name string) syscall.Errno {
	defer n.d.mu.Unlock()
	if !n.d.change(ctx) {
		return syscall.EINTR
	}
	n.p.do(func(names map[string]any) { delete(names, name) })
	return 0
}

func (n *dirNode) Rename(ctx context.Context, name string, to fs.InodeEmbedder, newName string, _ uint32) syscall.Errno {
	defer n.d.mu.Unlock()
	if !n.d.change(ctx) {
		return syscall.EINTR
	}
	if to.(*dirNode).p != n.p {
		return syscall.EXDEV
	}
	n.p.do(func(names map[string]any) {
		names[newName] = names[name]
		delete(names, name)
	})
	return 0
}

func (n *dirNode) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	var all []fuse.DirEntry
	for name, what := range n.p.live {
		mode := uint32(syscall.S_IFREG)
		if _, is := what.(*keptDir); is {
			mode = syscall.S_IFDIR
		}
		all = append(all, fuse.DirEntry{Name: name, Mode: mode})
	}
	return fs.NewListDirStream(all), 0
}

func (n *dirNode) Fsync(ctx context.Context, _ fs.FileHandle, _ uint32) syscall.Errno {
	defer n.d.mu.Unlock()
	if !n.d.change(ctx) {
		return syscall.EINTR
	}
	n.d.syncs++
	for _, do := range n.p.pending {
		do(n.p.saved)
	}
	n.p.pending = nil
	return 0
}

func (n *dirNode) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode = syscall.S_IFDIR | 0o700
	return 0
}

func (n *dirNode) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	out.Bsize, out.Frsize, out.Blocks, out.Bfree, out.Bavail, out.NameLen = 4096, 4096, 1<<22, 1<<22, 1<<22, 255
	return 0
}

func (n *fileNode) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_KEEP_CACHE, 0
}

func (n *fileNode) Read(_ context.Context, _ fs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	if off >= int64(len(n.f.live)) {
		return fuse.ReadResultData(nil), 0
	}
	return fuse.ReadResultData(dest[:copy(dest, n.f.live[off:])]), 0
}

func (n *fileNode) Write(ctx context.Context, _ fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	defer n.d.mu.Unlock()
	if !n.d.change(ctx) {
		return 0, syscall.EINTR
	}
	end := int(off) + len(data)
	if end > len(n.f.live) {
		n.f.resize(end)
	}
	copy(n.f.live[off:], data)
	for s := int(off) / sector; s*sector < end; s++ {
		n.f.dirty[s] = true
	}
	return uint32(len(data)), 0
}

func (n *fileNode) Fsync(ctx context.Context, _ fs.FileHandle, _ uint32) syscall.Errno {
	defer n.d.mu.Unlock()
	if !n.d.change(ctx) {
		return syscall.EINTR
	}
	n.d.syncs++
	n.f.sync()
	return 0
}

func (n *fileNode) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	out.Mode, out.Size = syscall.S_IFREG|0o600, uint64(len(n.f.live))
	return 0
}

func (n *fileNode) Setattr(ctx context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	defer n.d.mu.Unlock()
	if !n.d.change(ctx) {
		return syscall.EINTR
	}
	if size, ok := in.GetSize(); ok {
		n.f.resize(int(size))
	}
	out.Mode, out.Size = syscall.S_IFREG|0o600, uint64(len(n.f.live))
	return 0
}

// The disk itself is to be believed: what was synced is there after a cut, of the rest some is and some is not.
func TestE2EForgetfulDisk(t *testing.T) {
	d := newForgetful(t, 1)
	for range 20 {
		synced, err := os.Create(d.dir + "/synced")
		must(t, err)
		block := make([]byte, 64*sector)
		for i := range block {
			block[i] = 'a'
		}
		for _, do := range []func() error{
			func() error { _, err := synced.Write(block); return err }, synced.Sync,
			func() error { folder, err := os.Open(d.dir); must(t, err); defer folder.Close(); return folder.Sync() },
			func() error { _, err := synced.Write(block); return err }, synced.Close,
		} {
			must(t, do())
		}
		must(t, os.WriteFile(d.dir+"/name", block, 0o600))
		d.cut()
		got, err := os.ReadFile(d.dir + "/synced")
		must(t, err)
		if len(got) < len(block) || string(got[:len(block)]) != string(block) {
			t.Fatal("what was synced is lost")
		}
		must(t, os.Remove(d.dir+"/synced"))
		_ = os.Remove(d.dir + "/name") // it may be gone
	}
	if d.kept == 0 || d.lost == 0 {
		t.Errorf("of what was not synced %d sectors were kept and %d lost", d.kept, d.lost)
	}
}
