package metric

import "tidegate/internal/wire"

var backend = section("Backend", "`serve` and `backend` have these metrics.")

// The backend and its tasks.
var (
	BackendConnects = backend.counter("tidegate_backend_connects_total",
		"Connect callbacks that the backend has answered, by outcome.").
		by("outcome", "what became of the stream; `left`: the client was gone before it was attached",
			"accepted", "left", "not_allowed", "not_routable", "failed").
		alert("`outcome=\"failed\"` rises: the backend cannot reach the gateway")
	BackendDisconnects = backend.counter("tidegate_backend_disconnects_total",
		"Disconnect callbacks that the backend has received, each stream counted once.").
		by("reason", "who or what ended the stream", string(wire.ClientClosed), string(wire.ServerClosed), string(wire.Failed), "other")
	BackendCallbackDuration = backend.histogram("tidegate_backend_callback_duration_seconds",
		"Time that the backend took to answer a callback, in seconds.",
		[]float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}).
		by("action", "what the callback reports; `none` for one that could not be read", "none", string(wire.Connect), string(wire.Disconnect))
	BackendPublish = backend.counter("tidegate_backend_publish_total",
		"Task events that the backend has sent to the gateway, including repeats, by outcome.").
		by("outcome", "`already_closed`: the task's log has its end; `failed`: the backend tries again", "taken", "already_closed", "rejected", "failed").
		alert("`outcome=\"failed\"` rises steadily, or `outcome=\"rejected\"` rises")
	BackendVersions = backend.counter("tidegate_backend_versions_total",
		"Version notices that were published, by scope and outcome.").
		by("scope", "`all` streams, or `one` request id", "all", "one").
		by("outcome", "whether the gateway took it", "taken", "failed")
	BackendVersionPolls = backend.counter("tidegate_backend_version_polls_total",
		"Requests to --frontend-version-url, by outcome.").
		by("outcome", "whether there was an answer, and whether it was new", "failed", "unchanged", "changed").
		alert("`outcome=\"failed\"` rises")
	BackendStreamsReplaced = backend.counter("tidegate_backend_streams_replaced_total",
		"Streams that the backend has ended because a newer one took their place; see --replace.")
	BackendTasksSwept = backend.counter("tidegate_backend_tasks_swept_total",
		"Tasks whose event log the backend has closed because the process that wrote it is gone.").
		alert("it rises: a backend died while it ran tasks")
	BackendAccessExpired = backend.counter("tidegate_backend_access_expired_total",
		"Streams that the backend has ended because their access token had expired.")
	BackendAccessStreams = backend.gauge("tidegate_backend_access_streams",
		"Open streams that end when their access token expires.")
	BackendGatewayReachable = backend.gauge("tidegate_backend_gateway_reachable",
		"1 if the latest request to the gateway was answered, else 0.").
		alert("it is 0 for a minute")
	Tasks = backend.gauge("tidegate_tasks",
		"Tasks that the task store holds, by state.").
		by("state", "see [states](tasks.md)", "pending", "running", "completed", "failed", "cancelled").
		alert("`state=\"pending\"` comes close to `--task-queue`")
	TasksFinished = backend.counter("tidegate_tasks_finished_total",
		"Tasks that have reached a final state, by type and state.").
		byOpen("type", "a registered type of task").
		byOpen("state", "the final state").
		alert("`state=\"failed\"` rises")
)
