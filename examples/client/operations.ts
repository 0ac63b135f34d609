/** The operations that the example uses. `npm run generate` makes their types. */
import { graphql } from './gql/gql.js';

export const StartArchive = graphql(`
  mutation StartArchive($input: StartArchiveInput!) {
    startArchive(input: $input) {
      __typename
      ... on StartArchivePayload {
        accessToken
        sequence
        archive {
          id
          status
          resolution
        }
      }
      ... on Error {
        code
        message
      }
    }
  }
`);

export const StopArchive = graphql(`
  mutation StopArchive($input: StopArchiveInput!) {
    stopArchive(input: $input) {
      __typename
      ... on StopArchivePayload {
        sequence
        archive {
          id
          status
        }
      }
      ... on Error {
        code
        message
      }
    }
  }
`);

export const BeginArchive = graphql(`
  mutation BeginArchive($input: BeginArchiveInput!) {
    beginArchive(input: $input) {
      __typename
      ... on BeginArchivePayload {
        sequence
        archive {
          id
          status
        }
      }
      ... on Error {
        code
        message
      }
    }
  }
`);

export const PauseJob = graphql(`
  mutation PauseJob($input: PauseJobInput!) {
    pauseJob(input: $input) {
      __typename
      ... on PauseJobPayload {
        sequence
        job {
          id
          state
        }
      }
      ... on Error {
        code
        message
      }
    }
  }
`);

export const ResumeJob = graphql(`
  mutation ResumeJob($input: ResumeJobInput!) {
    resumeJob(input: $input) {
      __typename
      ... on ResumeJobPayload {
        sequence
        job {
          id
          state
        }
      }
      ... on Error {
        code
        message
      }
    }
  }
`);

export const CancelJob = graphql(`
  mutation CancelJob($input: CancelJobInput!) {
    cancelJob(input: $input) {
      __typename
      ... on CancelJobPayload {
        sequence
        job {
          id
          state
        }
      }
      ... on Error {
        code
        message
      }
    }
  }
`);

export const Archive = graphql(`
  query Archive($id: ID!) {
    archive(id: $id) {
      id
      name
      url
      status
      state
      reason
      message
      resolution
      startedAt
      progress
      duration
      lostDuration
      gaps {
        from
        to
        lost
        cause
      }
      size
      sha256sum
      downloadUrl
      thumbnailUrl
    }
  }
`);

export const JobEvents = graphql(`
  subscription JobEvents($jobId: ID!, $after: Cursor) {
    jobEvents(jobId: $jobId, after: $after) {
      __typename
      cursor
      sequence
      occurredAt
      job {
        state
        reason
        message
        progress
        failure {
          actor
          code
          message
        }
      }
      ... on JobStateChanged {
        state
        reason
        message
      }
      ... on JobPartStarted {
        number
      }
      ... on JobPartEnded {
        number
        duration
        cause
      }
      ... on JobWarningRaised {
        warning
        detail
      }
      ... on JobWarningCleared {
        warning
      }
      ... on JobFileAdded {
        fileId
        name
      }
      ... on StreamLagged {
        dropped
      }
    }
  }
`);

export const ProjectEvents = graphql(`
  subscription ProjectEvents($filter: EventsFilter, $after: Cursor) {
    events(filter: $filter, after: $after) {
      __typename
      cursor
      sequence
      occurredAt
      ... on JobEvent {
        job {
          id
          state
          progress
        }
      }
      ... on JobStateChanged {
        state
        reason
      }
    }
  }
`);

export const JobStats = graphql(`
  subscription JobStats($jobId: ID!) {
    jobStats(jobId: $jobId) {
      frames
      fps
      bitrate
      size
      position
      speed
      dropped
      progress
      updatedAt
    }
  }
`);

export const EnsureRoom = graphql(`
  mutation EnsureRoom($input: EnsureRoomInput!) {
    ensureRoom(input: $input) {
      __typename
      ... on EnsureRoomPayload {
        sessionId
        token
        apiKey
        room {
          id
          name
        }
      }
      ... on Error {
        code
        message
      }
    }
  }
`);

export const CreateRoomToken = graphql(`
  mutation CreateRoomToken($input: CreateRoomTokenInput!) {
    createRoomToken(input: $input) {
      __typename
      ... on CreateRoomTokenPayload {
        token
      }
      ... on Error {
        code
        message
      }
    }
  }
`);

export const CreateRecording = graphql(`
  mutation CreateRecording($input: CreateRecordingInput!) {
    createRecording(input: $input) {
      __typename
      ... on CreateRecordingPayload {
        accessToken
        sequence
        recording {
          id
          state
        }
        job {
          id
          state
        }
      }
      ... on Error {
        code
        message
      }
      ... on ValidationError {
        issues {
          field
          message
        }
      }
    }
  }
`);

export const UpdateRecording = graphql(`
  mutation UpdateRecording($input: UpdateRecordingInput!) {
    updateRecording(input: $input) {
      __typename
      ... on UpdateRecordingPayload {
        accessToken
        recording {
          id
          state
        }
        job {
          id
          state
        }
      }
      ... on Error {
        code
        message
      }
      ... on ValidationError {
        issues {
          field
          message
        }
      }
    }
  }
`);

export const StartRecording = graphql(`
  mutation StartRecording($input: StartRecordingInput!) {
    startRecording(input: $input) {
      __typename
      ... on StartRecordingPayload {
        accessToken
        recording {
          id
          state
        }
        job {
          id
        }
      }
      ... on Error {
        code
        message
      }
    }
  }
`);

export const StopRecording = graphql(`
  mutation StopRecording($input: StopRecordingInput!) {
    stopRecording(input: $input) {
      __typename
      ... on StopRecordingPayload {
        recording {
          id
          state
          active
        }
        job {
          id
        }
      }
      ... on Error {
        code
        message
      }
    }
  }
`);

export const DeleteRecording = graphql(`
  mutation DeleteRecording($input: DeleteRecordingInput!) {
    deleteRecording(input: $input) {
      __typename
      ... on DeleteRecordingPayload {
        recording {
          id
          name
        }
      }
      ... on Error {
        code
        message
      }
    }
  }
`);

export const DeleteRecordingFile = graphql(`
  mutation DeleteRecordingFile($input: DeleteRecordingFileInput!) {
    deleteRecordingFile(input: $input) {
      __typename
      ... on DeleteRecordingFilePayload {
        fileId
        name
      }
      ... on Error {
        code
        message
      }
    }
  }
`);

export const Recording = graphql(`
  query Recording($id: ID!) {
    recording(id: $id) {
      id
      name
      active
      state
      outputFormat
      mode
      fileCount
      bitrate
      fps
      input {
        type
        url
        listenPort
        sendTo
        sendCommand
        streamKey
        obs {
          server
          streamKey
        }
      }
      currentRun {
        id
        state
      }
      stats {
        frames
        fps
        bitrate
        position
      }
      runs(first: 1) {
        totalCount
        nodes {
          id
          state
          reason
          message
          progress
          startedAt
          recordedDuration
          gaps {
            from
            to
            lost
            cause
          }
          parts {
            incarnation
            number
            startedAt
            duration
            endCause
          }
          warnings {
            code
            message
            clearedAt
          }
          stats {
            frames
            fps
            bitrate
            bitrateKbits
            size
            position
            outTime
            speed
            dropped
            duplicated
            link {
              bitrate
              rtt
              bufferDelay
              packetsReceived
              packetsLost
              packetsRetransmitted
              packetsDropped
              receiveCapacity
              activeStreams
            }
          }
        }
      }
    }
  }
`);

export const RecordingFiles = graphql(`
  query RecordingFiles($id: ID!, $kinds: [FileKind!], $after: String) {
    recording(id: $id) {
      files(kinds: $kinds, first: 100, after: $after) {
        nodes {
          id
          kind
          name
          path
          format
          mediaType
          visibility
          size
          sha256sum
          duration
          width
          height
          videoCodec
          audioCodec
          version
          held
          expiresAt
          downloadUrl
          publicUrl
          createdAt
        }
        pageInfo {
          endCursor
          hasNextPage
        }
      }
    }
  }
`);

export const StartTask = graphql(`
  mutation StartTask($input: StartTaskInput!) {
    startTask(input: $input) {
      __typename
      ... on StartTaskPayload {
        requestId
        taskId
        status
        accessToken
        sequence
      }
      ... on Error {
        code
        message
      }
      ... on ValidationError {
        issues {
          field
          message
        }
      }
    }
  }
`);

export const StopTask = graphql(`
  mutation StopTask($input: StopTaskInput!) {
    stopTask(input: $input) {
      __typename
      ... on StopTaskPayload {
        requestId
        status
        message
        task {
          state
          action
        }
      }
      ... on Error {
        code
        message
      }
      ... on ValidationError {
        issues {
          field
          message
        }
      }
    }
  }
`);

export const Task = graphql(`
  query Task($id: ID!) {
    task(id: $id) {
      id
      requestId
      state
      action
      reason
      message
      error
      createdAt
      lease {
        workerId
        renewedAt
        expiresAt
      }
      payload {
        layout
        channel
        users
        url
        webGL
        filenamePattern
        format
        video {
          width
          height
          frameRate
          bitrate
        }
        audio {
          sampleRate
          channels
          bitrate
        }
        maxDuration
        idleTimeout
        files
      }
      files {
        nodes {
          kind
          name
          mediaType
          duration
          width
          height
          videoCodec
          audioCodec
          size
          sha256sum
          downloadUrl
        }
      }
      job {
        id
        state
        reason
        stats {
          position
          size
        }
        gaps {
          cause
        }
        parts {
          incarnation
          number
          startedAt
          duration
          endCause
        }
      }
    }
  }
`);

export const CreateSchedule = graphql(`
  mutation CreateSchedule($input: CreateScheduleInput!) {
    createSchedule(input: $input) {
      __typename
      ... on CreateSchedulePayload {
        schedule {
          id
          nextRunAt
        }
      }
      ... on Error {
        code
        message
      }
      ... on ValidationError {
        issues {
          field
          message
        }
      }
    }
  }
`);

export const UpdateSchedule = graphql(`
  mutation UpdateSchedule($input: UpdateScheduleInput!) {
    updateSchedule(input: $input) {
      __typename
      ... on UpdateSchedulePayload {
        schedule {
          id
          nextRunAt
        }
      }
      ... on Error {
        code
        message
      }
      ... on ValidationError {
        issues {
          field
          message
        }
      }
    }
  }
`);

export const DeleteSchedule = graphql(`
  mutation DeleteSchedule($input: DeleteScheduleInput!) {
    deleteSchedule(input: $input) {
      __typename
      ... on DeleteSchedulePayload {
        scheduleId
      }
      ... on Error {
        code
        message
      }
    }
  }
`);

export const Schedule = graphql(`
  query Schedule($id: ID!) {
    schedule(id: $id) {
      id
      name
      timezone
      windows {
        daysOfWeek
        startAt
        stopAt
      }
      from
      until
      isPaused
      archive {
        url
        roomName
        maxDuration
        broadcastUrl
      }
      task {
        payload {
          layout
          channel
          url
        }
        priority
      }
      recording {
        id
      }
      nextRunAt
      nextRuns(first: 3) {
        startAt
        stopAt
      }
      lastRunAt
      lastError {
        at
        startAt
        message
      }
      runs(first: 10) {
        totalCount
        nodes {
          id
          kind
          state
          reason
          stopAt
          deadlineAt
          startedAt
          stoppedAt
          recordedDuration
          stats {
            position
          }
          schedule {
            id
          }
          files {
            nodes {
              kind
              name
              duration
              downloadUrl
            }
          }
        }
      }
    }
  }
`);
