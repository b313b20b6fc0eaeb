package server

import "github.com/prometheus/client_golang/prometheus"

// metrics counts what a node does, under Prometheus' naming rules.
type metrics struct {
	live      prometheus.Gauge
	commands  prometheus.Counter
	entries   prometheus.Counter
	forwards  prometheus.Counter
	retries   prometheus.Counter
	reads     *prometheus.CounterVec
	rounds    prometheus.Counter
	elections prometheus.Counter
	snapshots prometheus.Counter
	scrubs    prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, n *Node) *metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "todod", Name: name, Help: help})
		reg.MustRegister(c)
		return c
	}
	m := &metrics{
		commands:  counter("proposer_commands_total", "Commands this node proposed as leader."),
		entries:   counter("proposer_entries_total", "Log entries this node proposed; commands per entry is the size of a batch."),
		forwards:  counter("forwarded_commands_total", "Commands this node sent to the leader."),
		retries:   counter("write_retries_total", "Writes that were sent to a leader a second time, under the same number."),
		rounds:    counter("read_rounds_total", "Rounds that confirmed a leader for linearizable reads."),
		elections: counter("campaigns_total", "Elections this node began because the leader's process was dead."),
		snapshots: counter("snapshots_sent_total", "Whole replicas this node sent to others as leader."),
		scrubs:    counter("replica_scrubs_total", "Times this node read its whole replica and found it well."),
		live:      prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "todod", Name: "registry_processes", Help: "Live list processes; on the leader only."}),
		reads:     prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "todod", Name: "reads_total", Help: "Reads by the level that was given."}, []string{"level"}),
	}
	reg.MustRegister(m.live, m.reads)
	gauge := func(name, help string, value func(*engine) float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "todod", Name: name, Help: help},
			func() float64 {
				if e := n.engine(); e != nil {
					return value(e)
				}
				return 0
			}))
	}
	gauge("raft_term", "Current term.", func(e *engine) float64 { return float64(e.raft.CurrentTerm()) })
	gauge("raft_commit_index", "Commit index of the log.", func(e *engine) float64 { return float64(e.raft.CommitIndex()) })
	gauge("raft_last_index", "Last index of the log.", func(e *engine) float64 { return float64(e.raft.LastIndex()) })
	gauge("raft_leader", "1 while this node leads, else 0.", func(e *engine) float64 {
		return oneIf(e.term.Load() != nil)
	})
	gauge("replica_applied_index", "Last log entry that the replica has applied.", func(e *engine) float64 {
		index, _ := e.replica.Applied()
		return float64(index)
	})
	gauge("replica_rev", "Rev of the replica.", func(e *engine) float64 {
		_, rev := e.replica.Applied()
		return float64(rev)
	})
	gauge("raft_log_bytes", "What the file of the log takes on the disk.", func(e *engine) float64 {
		return float64(e.logs.room().size)
	})
	gauge("raft_log_free_bytes", "What of the file of the log is free: it is used again, and given back at a start when it is over half.",
		func(e *engine) float64 { return float64(e.logs.room().free) })
	gauge("group_version", "Version of the group: what is above it is refused.", func(e *engine) float64 {
		return float64(e.replica.GroupVersion())
	})
	gauge("reads_version", "Highest version of a group that this node can read.", func(e *engine) float64 {
		return float64(e.node.reads())
	})
	gauge("snapshot_loops", "Nodes that this one sent the whole replica three times or more within 5 minutes.",
		func(e *engine) float64 { return float64(e.sendings.loops()) })
	gauge("disk_free_bytes", "Room on the disk of the data folder.", func(e *engine) float64 {
		return float64(e.storage.free.Load())
	})
	gauge("disk_reserve_bytes", "Below this room the disk counts as full.", func(e *engine) float64 {
		return float64(e.storage.reserve)
	})
	gauge("disk_low", "1 while there is less room than the reserve, else 0.", func(e *engine) float64 {
		return oneIf(e.storage.low.Load())
	})
	gauge("disk_stalled", "1 while a write to the disk has not come back for 3 seconds, else 0.", func(e *engine) float64 {
		return oneIf(e.storage.stalled() != nil)
	})
	gauge("disk_write_age_seconds", "Age of the oldest write to the disk that has not come back.", func(e *engine) float64 {
		return float64(e.storage.health.Load().Oldest) / 1000
	})
	gauge("diverged", "1 while the nodes' data differ and no majority says whose is right, else 0.", func(e *engine) float64 {
		return oneIf(e.divergence.undecided.Load() != nil)
	})
	gauge("mark_agreed_index", "Last log entry at which this node's hashes were those of a majority.", func(e *engine) float64 {
		return float64(e.divergence.agreed.Load())
	})
	gauge("backup_last_timestamp_seconds", "When the newest scheduled backup of this node was made, Unix time; 0 if there is none.", func(e *engine) float64 {
		return float64(n.schedule.last.Load()) / 1000
	})
	gauge("backup_failures_total", "Scheduled backups that failed.", func(e *engine) float64 {
		return float64(n.schedule.failures.Load())
	})
	gauge("clock_offset_seconds", "This node's clock against the median of the voters.", func(e *engine) float64 {
		return e.offset().Seconds()
	})
	return m
}

func oneIf(holds bool) float64 {
	if holds {
		return 1
	}
	return 0
}

func (m *metrics) proposed(commands int) {
	m.entries.Inc()
	m.commands.Add(float64(commands))
}
func (m *metrics) forwarded(commands int) { m.forwards.Add(float64(commands)) }
func (m *metrics) retried()               { m.retries.Inc() }
func (m *metrics) processes(live int)     { m.live.Set(float64(live)) }
func (m *metrics) read(level Level)       { m.reads.WithLabelValues(string(level)).Inc() }
