package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/server"
)

// folderReport is what a folder that is sound holds.
type folderReport struct {
	ID      string `json:"id"`
	Group   string `json:"group"`
	State   string `json:"state"`
	Term    uint64 `json:"term"`
	First   uint64 `json:"first_index"` // of the log, 0 if it has no entry
	Last    uint64 `json:"last_index"`
	Applied uint64 `json:"applied"` // by the replica, which lags behind by what was not flushed
	Rev     uint64 `json:"rev"`
	Chain   string `json:"chain"`
	Set     string `json:"set"`
}

// verifyFolder checks the folder of a stopped node.
func verifyFolder(cmd *cobra.Command, conn *cli.Connection, data, id string) error {
	v, err := server.Verify(data, id)
	if err != nil {
		return ended(err)
	}
	r := folderReport{ID: v.ID, Group: v.Group, State: v.Phase, Term: v.Term, First: v.FirstIndex, Last: v.LastIndex,
		Applied: v.Replica.Index, Rev: v.Replica.Rev, Chain: v.Replica.Chain, Set: v.Replica.Set}
	if conn.JSON() {
		return cli.PrintJSON(cmd.OutOrStdout(), r)
	}
	log := "no entry"
	if r.First > 0 {
		log = fmt.Sprintf("entries %d to %d", r.First, r.Last)
	}
	return cli.Table(cmd.OutOrStdout(), [][]string{
		{"node", fmt.Sprintf("%s, %s, group %s", r.ID, r.State, r.Group)},
		{"log", fmt.Sprintf("%s, term %d: sound", log, r.Term)},
		{"replica", fmt.Sprintf("up to log entry %d, rev %d: sound", r.Applied, r.Rev)},
		{"state", fmt.Sprintf("chain %s, set %s", r.Chain, r.Set)},
	})
}
