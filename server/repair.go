package server

// scrub reads the replica's file again and again: what decays there is found before it is needed. What
// it finds is told storageFailed; what ended it early is tried again next time.
func (e *engine) scrub() {
	for wait(e.ctx, e.node.cfg.ScrubInterval) {
		if e.replica.Rescan(e.ctx) == nil {
			e.node.metrics.scrubs.Inc()
		}
	}
}
