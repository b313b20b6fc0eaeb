package todo

// resolve returns an operation with the entries that operations before it made in the place of references to them.
func resolve(op Op, items []Item) Op {
	if i := op.IDOf; i > 0 && i <= uint64(len(items)) {
		op.ID = items[i-1].Entry.ID
	}
	if i := op.ParentOf; i > 0 && i <= uint64(len(items)) {
		more := *op.Fields.More.Get()
		more.Parent = items[i-1].Entry.ID
		op.Fields.More = &more
		op.Fields.Set |= FieldParent
	}
	return op
}

// checkRefs holds what the operations of a batch say of each other against what they are.
func (c *Command) checkRefs(i int) error {
	op := &c.Ops[i]
	switch {
	case op.IDOf != 0 && !c.makes(op.IDOf, i, op.List):
		return invalid("id_of", "must name a command before this one that makes an entry of the same list")
	case op.ParentOf != 0 && !c.makes(op.ParentOf, i, op.List):
		return invalid("parent_of", "must name a command before this one that makes an entry of the same list")
	case op.IDOf != 0 && op.ID != 0:
		return invalid("id_of", "must not be given with an id")
	case op.ParentOf != 0 && op.Fields.More.Get().Parent != 0:
		return invalid("parent_of", "must not be given with a parent")
	}
	return nil
}

// makes reports whether the operation that a reference of the operation at i names makes an entry of a list.
func (c *Command) makes(ref uint64, i int, list string) bool {
	if ref > uint64(i) {
		return false
	}
	op := &c.Ops[ref-1]
	return op.Kind == Add && op.List == list || (op.Kind == Move || op.Kind == Copy) && op.To == list
}
