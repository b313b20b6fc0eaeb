package httpapi

import (
	"net/http"

	"todod/httpapi/api"
	"todod/httpapi/openapi"
)

// nodeID is what {id} means in a path of the group.
var nodeID = openapi.Words{"id": {Description: "The id of a node: 1 to 64 of A-Za-z0-9._-, not starting with a dot.", MinLength: 1, MaxLength: 64, Examples: []any{"n2"}}}

var (
	n1 = api.Member{ID: "n1", HTTP: "10.0.0.1:5454", Raft: "10.0.0.1:7454", Voter: true, Applied: 105, Version: "1.0.0", Reads: 2, Disk: "ok", DiskFree: 20 << 30}
	n2 = api.Join{ID: "n2", HTTP: "10.0.0.2:5454", Raft: "10.0.0.2:7454", Folder: "b5c9ce0a", Reads: 2}
)

var groupRoutes = []route{
	{http.MethodGet, "/v1/cluster", accept(nil, getCluster), nil, about{
		id: "getCluster", does: "The group as this node sees it",
		gives: api.Cluster{ID: "n1", Leader: "n1", Term: 3, Commit: 105, Applied: 105, State: "member", Group: "k4x7", Folder: "42955d5f", Version: "1.0.0", Reads: 2, GroupVersion: 2, Members: []api.Member{n1}},
	}},
	{http.MethodPost, "/v1/cluster/members", accept(scanJoin, postMember), nil, about{
		id: "addMember", does: "Take a node into the group", more: "It is what a node that joins asks; `todod join` is how a person does it.",
		how: asks, body: n2, gives: api.Joined{Group: "k4x7"}, fails: []api.Code{api.CodeConflict, api.CodeVersion},
	}},
	{http.MethodDelete, "/v1/cluster/members/{id}", accept(nil, deleteMember), nil, about{
		id: "removeMember", does: "Take a node out of the group for good", how: asks, words: nodeID, fails: []api.Code{api.CodeConflict, api.CodeNotFound},
	}},
	{http.MethodPost, "/v1/cluster/join", accept(scanJoinAddr, postJoin), nil, about{
		id: "joinGroup", does: "Have this node, which is still empty, join another group",
		how: asks, body: api.JoinAddr{Addr: "10.0.0.1:5454"}, fails: []api.Code{api.CodeConflict},
	}},
	{http.MethodPost, "/v1/cluster/transfer", accept(scanTransfer, postTransfer), nil, about{
		id: "transferLeadership", does: "Hand leadership over", how: asks, body: api.Transfer{To: "n2"}, fails: []api.Code{api.CodeConflict, api.CodeNotFound},
	}},
	{http.MethodGet, "/v1/cluster/settings", getSettings, readParams, about{
		id: "getSettings", does: "What the group decided for itself", how: reads, gives: api.Settings{TrashDays: 30, EventsMiB: 128},
	}},
	{http.MethodPatch, "/v1/cluster/settings", accept(scanSettings, patchSettings), nil, about{
		id: "patchSettings", does: "Decide something for the group", more: "What is left out stays as it is.",
		how: asks, body: patch{"SettingsPatch", api.Settings{}, map[string]any{"trash_days": 90}}, gives: api.Settings{TrashDays: 90, EventsMiB: 128}, fails: []api.Code{api.CodeVersion, api.CodeClock, api.CodeStorage},
	}},
	{http.MethodGet, "/v1/cluster/events", clusterEvents, nil, about{
		id: "clusterEvents", does: "What happens in the group, as this node sees it",
		more:  "Kinds: node_down, node_up, leader_changed, member_added, member_removed and others.",
		gives: stream{api.Event{Type: "node_down", Node: "n2", Term: 3, Time: then}}, fails: []api.Code{api.CodeOverloaded},
	}},
	{http.MethodGet, "/v1/registry", accept(nil, getRegistry), nil, about{
		id: "getRegistry", does: "The list processes that live at the leader",
		how: asks, gives: api.Registry{Leader: "n1", Processes: []api.Process{{List: "bob", Started: then, Handled: 12}}},
	}},
	{http.MethodGet, "/v1/registry/{list}", accept(nil, getWhere), nil, about{
		id: "whereIs", does: "At which node the process of a list lives", more: "From what this node knows, without asking another.",
		gives: api.Where{List: "bob", Node: "n1"},
	}},
	{http.MethodGet, "/v1/backup", getBackup, readParams, about{
		id: "backup", does: "All lists of the group, to be restored from", how: reads, gives: formats{"application/octet-stream": ""}, fails: []api.Code{api.CodeStorage},
	}},
	{http.MethodPost, "/v1/restore", postRestore, []string{"foreign"}, about{
		id: "restore", does: "Take a backup in, in place of all lists", more: "A new epoch begins: entity tags and cursors of before are refused.",
		how: asks | indexed, body: formats{"application/octet-stream": ""}, gives: api.Restored{Epoch: 8, Rev: 42, Lists: 1, Entries: 1, Group: "k4x7", Made: then},
		fails: []api.Code{api.CodeConflict, api.CodeStorage, api.CodeVersion},
	}},
	{http.MethodGet, "/v1/hash", accept(nil, getHash), nil, about{
		id: "getHash", does: "The hashes of this node's replica, to compare nodes by", gives: hash,
	}},
}

var nodeRoutes = []route{
	{http.MethodGet, "/livez", live, nil, about{id: "live", does: "Whether the process answers", gives: text("OK")}},
	{http.MethodGet, "/readyz", ready, nil, about{id: "ready", does: "Whether the node should be sent requests", how: asks, gives: text("OK")}},
	{http.MethodGet, "/openapi.json", getDescription, nil, about{
		id: "getDescription", does: "This description", how: fixed, gives: formats{"application/json": ""},
	}},
	{http.MethodGet, "/docs", getDocs, nil, about{
		id: "getDocs", does: "This description as a page for people", how: fixed, gives: formats{"text/html": ""},
	}},
	{http.MethodGet, "/metrics", serveMetrics, nil, about{id: "metrics", does: "What Prometheus reads", gives: text("")}},
}
