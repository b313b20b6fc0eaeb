package main

func (r *run) writePage(file string) error { return nil }
